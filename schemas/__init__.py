"""The contract between the parts: topics, messages and file formats, with no sockets, files or clocks."""

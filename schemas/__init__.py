"""The contract between the parts: topics, messages and file formats. No sockets, files or clocks."""

"""The public Python interface; its names are exported by `tidesync`."""

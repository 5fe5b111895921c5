"""A file in memory with what topside knows of the vehicles' clocks, for `tidesync.interval`."""

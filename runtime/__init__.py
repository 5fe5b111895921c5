"""A long-running command: start and stop, whether it is alive, /metrics."""

"""The agent at the surface: measures the vehicles' clocks and publishes results."""

"""The agent at the surface: runs exchanges, estimates, publishes; records sessions and corrects their data."""

"""The agents at the surface: one measures and publishes, one records sessions and corrects their data."""

"""What the broker says of the fleet: rows, one vehicle in full, waiting for it, forgetting it."""

"""Real brokers on loopback."""

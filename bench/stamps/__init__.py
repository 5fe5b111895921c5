"""What stamps at the socket are worth, measured through mosquitto with the true offset known to be 0."""

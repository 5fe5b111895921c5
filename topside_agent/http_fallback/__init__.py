"""The handshake over HTTP, for a vehicle that MQTT does not reach."""

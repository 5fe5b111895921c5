"""MQTT's client under the one connection: paho's own, and the one with stamps at its socket."""

"""Who may do what at the production broker: accounts, made into mosquitto's and NATS's own files."""

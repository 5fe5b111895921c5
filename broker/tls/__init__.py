"""TLS: the context of a connection, a boat's own authority, when certificates end."""

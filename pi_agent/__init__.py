"""The agent on the vehicle: answers pings, watches its own clock, serves GET /api/sync/time."""

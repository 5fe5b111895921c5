"""The recorder: a subscriber that writes sessions, loses no exchange, and can slow none."""

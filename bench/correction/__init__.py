"""The correction of a session's tables: memory and time by the size of the table."""

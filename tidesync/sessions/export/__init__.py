"""`tidesync export`: a session's clock offsets for other tools; each file states its sign and its errors."""

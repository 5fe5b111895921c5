"""Writes a session's clock offsets for other tools; each file says its sign and what its errors mean."""

"""Recorded sessions: writing them, correcting their data, reporting on them, exporting them."""

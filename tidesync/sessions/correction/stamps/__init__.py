"""A table's timestamps: how they are written, read and written again, and how finely they resolve."""

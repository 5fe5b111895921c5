"""Memory and processor time of what reads a whole session, by its vehicles and by its length."""

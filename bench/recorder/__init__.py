"""What a session of a thousand vehicles asks of its recorder: processor time, bytes, holes, the stop."""

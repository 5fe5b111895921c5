"""`tidesync doctor`: checks for the usual faults, a function each, that return findings."""

"""Corrects whole sessions and archives of them: what was done before is kept, the rest divided."""

"""`tidesync demo`: everything on this machine, with the truth beside each estimate."""

"""`tidesync demo`: everything on this machine, with the true offset beside each estimate."""

"""`tidesync watch`: what is heard, and how it is shown."""

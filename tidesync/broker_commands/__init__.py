"""What `tidesync broker` can do besides running one: accounts and certificates."""

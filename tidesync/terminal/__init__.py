"""What `tidesync watch` and `status` show: the live screen, lines of text, the connection behind them."""

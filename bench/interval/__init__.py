"""What a call of `tidesync.interval` costs, beside reading a clock."""

"""The bound's width on loopback, beside an earlier version's, at rest and while a clock is slewed."""

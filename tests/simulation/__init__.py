"""Time is a number: agents and estimator against a known truth."""

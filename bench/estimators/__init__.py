"""The offset estimator against simulated truth and against its peers."""

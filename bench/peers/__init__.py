"""The whole measurement, live on this machine beside the real peers; one clock, so the true offset is 0."""

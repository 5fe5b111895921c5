"""Topsides that share a fleet, killed, stopped, cut off and started at random: `make soak-group`."""

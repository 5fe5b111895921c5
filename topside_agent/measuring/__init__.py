"""Exchanges with each vehicle: when to ask, what came back, what to publish."""

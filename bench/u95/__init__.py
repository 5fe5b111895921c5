"""How often u95 holds on every family of simulated traces, its ways made asymmetric within the assumption."""

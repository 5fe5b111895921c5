"""How things look in a terminal: tables, numbers, states, keys."""

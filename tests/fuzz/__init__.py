"""Every entry with altered and random input: no exception, and no honest result changes."""

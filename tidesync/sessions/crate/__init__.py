"""A session as an RO-Crate: raw files, results, and what made these, so that others can make them again."""

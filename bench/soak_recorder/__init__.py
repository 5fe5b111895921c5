"""A session whose recorder is killed again and again: what is written against what was measured."""

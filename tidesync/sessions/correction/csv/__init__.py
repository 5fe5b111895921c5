"""Delimited text: blocks of lines as arrays, every byte of which is kept, with new fields after each row."""

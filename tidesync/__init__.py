"""The command line `tidesync …` and the demo."""

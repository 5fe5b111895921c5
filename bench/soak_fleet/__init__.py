"""A fleet on one broker with a random fault every few seconds: is anything lost, wrong, or not healed?"""

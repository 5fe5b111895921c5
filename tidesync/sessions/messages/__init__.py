"""Corrects files of messages, as recorders of vehicles and ground stations write them."""

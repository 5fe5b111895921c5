"""`tidesync up`: broker, topside, recorder and dashboard of one surface computer, made and run at once."""

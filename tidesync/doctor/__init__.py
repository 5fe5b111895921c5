"""`tidesync doctor`: one check a function, each giving findings."""

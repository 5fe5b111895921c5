"""A session for the consumer: a folder of its own, whose tables have topside's times in column one."""

"""`tidesync correct` of a whole session, and of an archive: two processes beside one."""

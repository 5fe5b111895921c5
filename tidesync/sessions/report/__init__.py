"""`tidesync report`: a page on whether a session's timing can be trusted, and within what error."""

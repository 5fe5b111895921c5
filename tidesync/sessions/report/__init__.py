"""`tidesync report`: one page that says whether a session's timing can be trusted, and to how much."""

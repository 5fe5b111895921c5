"""A fleet shared by the topsides of a group: who is there, who measures what, and handing it over."""

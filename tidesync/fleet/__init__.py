"""The one model of what was heard of vehicles, topsides and sessions; waiting and forgetting."""

"""How a result's state looks in a terminal: a colour, and always the word beside it."""

STATE_STYLES = {
    "locked": "bold green",
    "acquiring": "yellow",
    "holdover": "bold yellow",
    "stale": "bold red",
    "unsynced": "red",
}

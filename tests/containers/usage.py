"""What a container takes of its machine."""

import time


def usage(container):
    """Now, its memory in MB without the page cache, and its CPU time in ns since it was started.

    None while it does not run: then the engine answers with empty figures.
    """
    stats = container.client.api.stats(container.id, stream=False, one_shot=True)
    memory = stats["memory_stats"]
    if "stats" not in memory:
        return None
    cached = memory["stats"].get("inactive_file", memory["stats"].get("total_inactive_file", 0))
    used = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return time.monotonic(), (memory["usage"] - cached) / 1e6, used

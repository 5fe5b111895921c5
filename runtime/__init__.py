"""What every long-running process needs: clocks, lifecycle, watchdog, logs, /metrics, files."""

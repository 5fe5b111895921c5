"""The dashboard: a page that shows the fleet as it is now, and an HTTP interface for programs."""

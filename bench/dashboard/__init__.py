"""What the dashboard costs with a fleet of fifty: memory and processor of the server and of the browser."""

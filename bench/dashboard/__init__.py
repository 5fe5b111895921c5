"""What the dashboard costs with a thousand vehicles: server, bytes, frames, memory of server and browser."""

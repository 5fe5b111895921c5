"""The broker and the way to it: embedded broker, connection, and the clock and stamps taken at its socket."""

"""The tests, by what they need: nothing, simulated time, a broker, containers, a browser."""

"""What a fleet of any size needs: messages counted in a simulation, times from the other benchmarks."""

"""What the vehicle's agent asks of a Pi: disk, memory, processor; beside the smallest paho echo."""

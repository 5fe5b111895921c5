"""What an exchange costs: processor, memory, start-up, from one vehicle to a thousand."""

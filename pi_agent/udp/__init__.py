"""The vehicle's end of the direct path: answers clock exchanges that come as UDP datagrams."""

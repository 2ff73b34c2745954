"""The state of each exchange, its uptime, and when another one takes its orders."""

"""The state of each exchange, its uptime, and failover to another exchange."""

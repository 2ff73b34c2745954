"""Kraken's dialect of the simulator: spot, REST and WebSocket v2."""

"""Coinbase's dialect of the simulator: Advanced Trade, spot."""

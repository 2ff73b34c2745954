"""Simulated exchanges with the wire formats of the real ones."""

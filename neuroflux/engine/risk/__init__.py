"""Limits of orders, positions, leverage and losses."""

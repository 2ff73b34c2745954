"""Rebalancing, equity, profit and performance of the whole portfolio."""

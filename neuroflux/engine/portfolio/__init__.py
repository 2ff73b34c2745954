"""Rebalancing, equity, profit and performance of the portfolio."""

"""Prices, conversion rates, costs and arbitrage, computed from market data."""

"""Prices, conversion rates, costs and arbitrage signals, computed from market data."""

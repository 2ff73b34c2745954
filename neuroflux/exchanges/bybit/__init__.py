"""Bybit v5: spot and linear perpetuals of one unified trading account."""

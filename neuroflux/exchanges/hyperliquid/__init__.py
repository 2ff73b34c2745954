"""Hyperliquid, spot and perpetuals."""

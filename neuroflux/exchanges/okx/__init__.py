"""The adapter of OKX: spot and linear perpetuals of one unified account."""

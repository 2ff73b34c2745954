"""Exchanges that run here and speak the real dialects."""

"""What the dialects of simulated exchanges share: streams, candles, limits and endpoints."""

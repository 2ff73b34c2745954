"""Where an order goes: candidates, strategies, pairs, and the legs of a rebalance."""

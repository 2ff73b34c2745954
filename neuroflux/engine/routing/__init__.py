"""Order routing: candidates, strategies, pairs, and the legs of a rebalance."""

"""Paper trading: the books of live exchanges, with a simulated account."""

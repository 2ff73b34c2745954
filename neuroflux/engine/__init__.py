"""All computations: prices, arbitrage, health, orders, risk, routing, portfolio. Pure: no clock, no I/O."""

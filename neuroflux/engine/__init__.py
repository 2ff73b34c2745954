"""What is computed: prices, arbitrage, health, routing, orders. Pure: no clock, no I/O."""

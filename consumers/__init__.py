"""Topics to the world: orders to exchanges, everything to ClickHouse."""

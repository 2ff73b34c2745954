"""The façade over the running pipeline: it reads topics and ClickHouse, and publishes commands."""

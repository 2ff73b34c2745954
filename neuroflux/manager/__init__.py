"""The façade over the running pipeline: it reads topics and ClickHouse, and acts by publishing commands."""

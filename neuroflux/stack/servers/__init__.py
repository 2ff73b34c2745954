"""Kafka, the registry and ClickHouse as local services."""

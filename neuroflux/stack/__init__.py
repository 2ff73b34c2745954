"""Kafka, registry, ClickHouse and the stages as children of one supervisor."""

"""Records in Kafka: topics, the encoding of their records, and their positions."""

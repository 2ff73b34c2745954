"""What is written to Kafka: topics, the encoding of their records, and positions of records."""

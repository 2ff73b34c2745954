"""What is written to the log: topics, their records as bytes, and where a record is stored."""

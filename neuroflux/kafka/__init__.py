"""Kafka and the schema registry: clients, publisher, reader, decoder, and publishing of commands."""

"""Kafka and the schema registry: clients, publisher, reader, decoder, commands."""

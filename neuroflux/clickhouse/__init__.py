"""ClickHouse: client, login, tables, inserts and views."""

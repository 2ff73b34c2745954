"""Create topics, schemas and the database for the stages: ``python -m neuroflux.stack.setup --replication N``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from urllib.parse import urlsplit

from clickhouse_driver import Client

from neuroflux.clickhouse.login import with_login
from neuroflux.errors import NeuroFluxError
from neuroflux.kafka.admin import create_topics, grant
from neuroflux.kafka.registry import register_schemas
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.stack.access import rights


async def set_up(settings: Settings, replication: int = 1) -> None:
    """Create what is missing; what exists is unchanged."""
    await asyncio.gather(
        make_topics(settings, replication),
        register_schemas(settings),
        asyncio.to_thread(create_database, settings),
    )


async def make_topics(settings: Settings, replication: int) -> None:
    """Create the topics, and on a secure Kafka their ACLs."""
    await create_topics(settings, replication)
    if settings.kafka_user:
        await grant(settings, rights())


def create_database(settings: Settings) -> None:
    """Create the database of NEUROFLUX_CLICKHOUSE. The warehouse creates its tables."""
    address = urlsplit(with_login(settings))
    name = address.path.strip("/")
    client = Client.from_url(address._replace(path="/default").geturl())
    try:
        client.execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    finally:
        client.disconnect()


def main() -> int:
    parser = argparse.ArgumentParser(prog="neuroflux.stack.setup", description=__doc__)
    parser.add_argument("--replication", type=int, default=1, help="replicas of each topic")
    try:
        asyncio.run(set_up(load_settings(), parser.parse_args().replication))
    except NeuroFluxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

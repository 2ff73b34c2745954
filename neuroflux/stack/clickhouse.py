"""ClickHouse as a local service: its configuration, and when it answers."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from msgspec import Struct

from neuroflux.credentials import read_credentials
from neuroflux.errors import UsageError
from neuroflux.settings import Settings
from neuroflux.stack.access import READER, WAREHOUSE
from neuroflux.stack.checks import listens
from neuroflux.stack.environment import base
from neuroflux.stack.services import Port, Readiness, Service

SETTING, HTTP_SETTING = "NEUROFLUX_CLICKHOUSE", "NEUROFLUX_CLICKHOUSE_HTTP"
MEMORY = 2 << 30
"""Bytes that queries and merges may take together."""
MARKS = 128 << 20
READER_BYTES, READER_SECONDS = 1 << 30, 60
"""What the queries of a reader may take together and bring, in bytes, and how long one may run; it can set neither."""

CONFIG = """<clickhouse>
  <listen_host>{host}</listen_host>
  <tcp_port>{port}</tcp_port>
  <http_port>{http_port}</http_port>
  <path>{folder}/db</path>
  <user_files_path>{folder}/db/user_files/</user_files_path>
  <users_config>users.xml</users_config>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{marks}</mark_cache_size>
  <logger>
    <log>{folder}/run/server.log</log><errorlog>{folder}/run/server.err.log</errorlog>
    <size>10M</size><count>2</count>
  </logger>
  <log-level>warning</log-level>
  <http_options_response/>
  <http_handlers>
    <rule><url>/ping</url><handler><type>ping</type></handler></rule>
    <rule><url>/play</url>{from_here}<handler><type>play</type></handler></rule>
    <rule>
      {from_here}
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
  </http_handlers>
</clickhouse>
"""

# A page in a browser reaches loopback as its user does. One of another site says so by Origin; one that has its own
# name point at this machine asks for that name by Host. Preflights (OPTIONS) are not answered.
FROM_HERE = "<headers><Host>regex:^{host}$</Host><Origin>regex:^(https?://{host})?$</Origin></headers>"
HOST = r"(127\.0\.0\.1|localhost|\[::1\]|{name})(:[0-9]+)?"

# The engine itself works as `default`, which therefore has no password, and is let in from this machine alone.
# Where it matters who comes, `default` may do no more than the engine asks for at its start.
USERS = """<clickhouse>
  <profiles>
    <default><implicit_select>0</implicit_select></default>
    <reader>
      <readonly>1</readonly>
      <max_memory_usage>{reader_bytes}</max_memory_usage>
      <max_memory_usage_for_user>{reader_bytes}</max_memory_usage_for_user>
      <max_result_bytes>{reader_bytes}</max_result_bytes>
      <max_execution_time>{reader_seconds}</max_execution_time>
    </reader>
  </profiles>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile><quota>default</quota>{rights}
    </default>
    <{user}>
      <password_sha256_hex>{password}</password_sha256_hex><networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile><quota>default</quota>
    </{user}>{reader}
  </users>
  <quotas><default></default></quotas>
</clickhouse>
"""


RIGHTS = "<access_management>1</access_management>"
ENGINE_RIGHTS = """
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>"""
READER_USER = """
    <reader>
      <password_sha256_hex>{password}</password_sha256_hex><networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>reader</profile><quota>default</quota>
    </reader>"""


class Server(Struct, frozen=True):
    """Where it listens, and as whom applications come: the user of NEUROFLUX_CLICKHOUSE, else ``neuroflux``; on a
    secure stack the warehouse.
    """

    host: str
    port: int
    http_port: int
    user: str
    password: str


def server(settings: Settings) -> Server:
    """Read the two addresses; raises UsageError where one names no host or port."""
    native, http = urlsplit(settings.clickhouse), urlsplit(settings.clickhouse_http)
    if native.hostname is None or native.port is None:
        raise UsageError(f"{SETTING}: {settings.clickhouse!r} names no host and port")
    if http.port is None:
        raise UsageError(f"{HTTP_SETTING}: {settings.clickhouse_http!r} names no port")
    named = native.username not in (None, "default")
    user, password = (native.username or "", native.password or "") if named else ("neuroflux", "neuroflux")
    if passwords := read_credentials(settings.home):
        user, password = WAREHOUSE, passwords[WAREHOUSE]
    return Server(native.hostname, native.port, http.port, user, password)


def config(made: Server, folder: Path) -> str:
    """The text of config.xml."""
    values = {"host": made.host, "port": made.port, "http_port": made.http_port, "folder": folder}
    texts = {name: escape(str(value)) for name, value in values.items()}
    here = FROM_HERE.format(host=HOST.format(name=escape(re.escape(made.host))))
    return CONFIG.format(**texts, from_here=here, memory=MEMORY, marks=MARKS)


def users(made: Server, passwords: Mapping[str, str]) -> str:
    """The text of users.xml; a secure stack has a user that can only read, and none else without a password."""
    reader = READER_USER.format(password=_hashed(passwords[READER])) if passwords else ""
    rights = ENGINE_RIGHTS if passwords else RIGHTS
    return USERS.format(
        user=escape(made.user),
        password=_hashed(made.password),
        reader=reader,
        rights=rights,
        reader_bytes=READER_BYTES,
        reader_seconds=READER_SECONDS,
    )


def _hashed(password: str) -> str:
    """Its SHA-256: SQL can read this file."""
    return sha256(password.encode()).hexdigest()


def clickhouse(settings: Settings) -> Service:
    """The service behind NEUROFLUX_CLICKHOUSE."""
    made, folder = server(settings), settings.home.absolute() / "clickhouse"
    return Service(
        name="clickhouse",
        command=(sys.executable, "-m", "neuroflux.stack.clickhouse_server", str(folder)),
        readiness=Readiness.CHECK,
        env=base(settings),
        cwd=settings.home.absolute(),
        address=f"{made.host}:{made.port}",
        ports=(Port(made.host, made.port, SETTING), Port(made.host, made.http_port, HTTP_SETTING)),
        check=partial(answers, made),
        prepare=partial(_prepare, made, folder, read_credentials(settings.home)),
        stop_timeout=30.0,
    )


def _prepare(made: Server, folder: Path, passwords: Mapping[str, str]) -> None:
    (folder / "run").mkdir(parents=True, exist_ok=True)
    (folder / "run" / "config.xml").write_text(config(made, folder))
    (folder / "run" / "users.xml").write_text(users(made, passwords))
    (folder / "run" / "users.xml").chmod(0o600)


async def answers(made: Server) -> bool:
    """Whether a query over the native protocol is answered."""
    return await listens(made.host, made.port) and await asyncio.to_thread(ask, made, "SELECT 1")


def ask(made: Server, sql: str) -> bool:
    """Whether a query of the application's user is carried out."""
    from clickhouse_driver import Client  # here, because most commands of the program never ask
    from clickhouse_driver.errors import Error

    client = Client(
        made.host, made.port, user=made.user, password=made.password, connect_timeout=2, send_receive_timeout=5
    )
    try:
        client.execute(sql)
        return True
    except (Error, OSError):
        return False
    finally:
        client.disconnect()

"""ClickHouse as a local service: its configuration and its check."""

from __future__ import annotations

import asyncio
import re
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from msgspec import Struct

from neuroflux.clickhouse.login import make_login, with_login
from neuroflux.errors import UsageError
from neuroflux.runtime.credentials import read_credentials
from neuroflux.runtime.settings import Settings, with_user
from neuroflux.stack.access import READER, WAREHOUSE
from neuroflux.stack.environment import base
from neuroflux.stack.supervise.checks import listens
from neuroflux.stack.supervise.service import Port, Readiness, Service

SETTING, HTTP_SETTING = "NEUROFLUX_CLICKHOUSE", "NEUROFLUX_CLICKHOUSE_HTTP"
MEMORY = 2 << 30
"""Bytes of memory for all queries and merges."""
MARKS = 128 << 20
READER_BYTES, READER_SECONDS = 1 << 30, 60
"""Limits of a reader, which it can't change: bytes of memory and of results, and seconds of a query."""

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

# A web page in a browser can reach loopback. A page of another site is recognised by its Origin; one whose host name
# resolves to this machine (DNS rebinding) by its Host. Preflights (OPTIONS) are not answered.
FROM_HERE = "<headers><Host>regex:^{host}$</Host><Origin>regex:^(https?://{host})?$</Origin></headers>"
HOST = r"(127\.0\.0\.1|localhost|\[::1\]|{name})(:[0-9]+)?"

# The engine itself runs as `default`, which therefore has no password. It has only the rights that the engine needs to
# start, but `file()` needs none, and the engine must read the files with the stored rows. So nobody else may log in as
# `default`: its quota allows one failed login, and the server fails twice on purpose as soon as it listens. That counts
# until 2038 or the next start. Applications own their database and those whose names begin with its name; they may
# also kill queries, since that is how the engine is stopped.
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
      <profile>default</profile><quota>engine</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>
    </default>
    <{user}>
      <password_sha256_hex>{password}</password_sha256_hex><networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants>
        <query>GRANT ALL ON {database}*.*</query><query>GRANT SELECT ON system.*</query>
        <query>GRANT TABLE ENGINE ON MergeTree</query><query>GRANT TABLE ENGINE ON ReplacingMergeTree</query>
        <query>GRANT TABLE ENGINE ON Memory</query><query>GRANT KILL QUERY ON *.*</query>
      </grants>
    </{user}>{reader}
  </users>
  <quotas>
    <default></default>
    <engine>
      <interval>
        <duration>2147483647</duration><failed_sequential_authentications>1</failed_sequential_authentications>
      </interval>
    </engine>
  </quotas>
</clickhouse>
"""


READER_USER = """
    <reader>
      <password_sha256_hex>{password}</password_sha256_hex><networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>reader</profile><quota>default</quota>
    </reader>"""


class Server(Struct, frozen=True):
    """The addresses that it listens on."""

    host: str
    port: int
    http_port: int


def server(settings: Settings) -> Server:
    """Read the two addresses; raises UsageError if one has no host or port."""
    native, http = urlsplit(settings.clickhouse), urlsplit(settings.clickhouse_http)
    if native.hostname is None or native.port is None:
        raise UsageError(f"{SETTING}: {settings.clickhouse!r} has no host and port")
    if http.port is None:
        raise UsageError(f"{HTTP_SETTING}: {settings.clickhouse_http!r} has no port")
    return Server(native.hostname, native.port, http.port)


def as_owner(settings: Settings) -> str:
    """NEUROFLUX_CLICKHOUSE with a login that may write: its own, else the home's; on a secure stack the warehouse's."""
    passwords = read_credentials(settings.home)
    return with_user(settings.clickhouse, WAREHOUSE, passwords[WAREHOUSE]) if passwords else with_login(settings)


def config(made: Server, folder: Path) -> str:
    """The text of config.xml."""
    values = {"host": made.host, "port": made.port, "http_port": made.http_port, "folder": folder}
    texts = {name: escape(str(value)) for name, value in values.items()}
    here = FROM_HERE.format(host=HOST.format(name=escape(re.escape(made.host))))
    return CONFIG.format(**texts, from_here=here, memory=MEMORY, marks=MARKS)


def users(settings: Settings) -> str:
    """The text of users.xml: the owner of the database, and on a secure stack the reader."""
    owner, passwords = urlsplit(as_owner(settings)), read_credentials(settings.home)
    return USERS.format(
        user=escape(unquote(owner.username or "")),
        password=_hashed(unquote(owner.password or "")),
        database=escape(owner.path.strip("/")),
        reader=READER_USER.format(password=_hashed(passwords[READER])) if passwords else "",
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
        command=(sys.executable, "-m", "neuroflux.stack.servers.clickhouse_server", str(folder)),
        readiness=Readiness.CHECK,
        env=base(settings),
        cwd=settings.home.absolute(),
        address=f"{made.host}:{made.port}",
        ports=(Port(made.host, made.port, SETTING), Port(made.host, made.http_port, HTTP_SETTING)),
        check=partial(answers, settings),
        prepare=partial(_prepare, settings, made, folder),
        stop_timeout=30.0,
    )


def _prepare(settings: Settings, made: Server, folder: Path) -> None:
    (folder / "run").mkdir(parents=True, exist_ok=True)
    if not read_credentials(settings.home):
        make_login(settings)
    (folder / "run" / "config.xml").write_text(config(made, folder))
    (folder / "run" / "users.xml").write_text(users(settings))
    (folder / "run" / "users.xml").chmod(0o600)


async def answers(settings: Settings) -> bool:
    """Whether a query over the native protocol is answered."""
    made = server(settings)
    return await listens(made.host, made.port) and await asyncio.to_thread(ask, as_owner(settings), "SELECT 1")


def ask(url: str, sql: str) -> bool:
    """Whether a query succeeds; it runs in ``default``, because the database may not exist yet."""
    from clickhouse_driver import Client  # here, because most commands never query
    from clickhouse_driver.errors import Error

    outside = urlsplit(url)._replace(path="/default", query="connect_timeout=2&send_receive_timeout=5")
    client = Client.from_url(outside.geturl())
    try:
        client.execute(sql)
        return True
    except (Error, OSError):
        return False
    finally:
        client.disconnect()

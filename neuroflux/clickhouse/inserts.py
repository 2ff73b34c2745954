"""Inserts through ClickHouse's HTTP interface, which parses formats that the native protocol leaves to the client.

Source: ClickHouse's manual, "HTTP Interface".
"""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import unquote, urlencode, urlsplit

from neuroflux.clickhouse.errors import refusal
from neuroflux.clickhouse.login import with_login
from neuroflux.errors import Unreachable
from neuroflux.runtime.settings import Settings

SECONDS = 300.0
"""The timeout of an insert; the same as clickhouse-driver's."""


class Inserts:
    """Inserts with the user and database of NEUROFLUX_CLICKHOUSE. One connection each, as idle ones are soon closed."""

    def __init__(self, settings: Settings) -> None:
        who, where = urlsplit(with_login(settings)), urlsplit(settings.clickhouse_http)
        self._address = settings.clickhouse_http
        self._connect = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._host, self._port = where.hostname or "", where.port
        self._database = who.path.lstrip("/")
        self._headers = {
            "X-ClickHouse-User": unquote(who.username or "default"),
            "X-ClickHouse-Key": unquote(who.password or ""),
            "Transfer-Encoding": "chunked",
        }

    def insert(self, sql: str, pieces: Iterator[bytes]) -> None:
        """Insert a body given in pieces; nothing is inserted before the last piece has arrived.

        Raises Unreachable if it is unknown whether the insert succeeded, and Refused if ClickHouse refused it.
        """
        connection = self._connect(self._host, self._port, timeout=SECONDS)
        try:
            path = "/?" + urlencode({"database": self._database, "query": sql})
            connection.request("POST", path, body=pieces, headers=self._headers, encode_chunked=True)
            answer = connection.getresponse()
            message = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise Unreachable(f"ClickHouse at {self._address}: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise refusal(int(answer.headers.get("X-ClickHouse-Exception-Code") or 0), message, self._address)

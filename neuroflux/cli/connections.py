"""What third-party clients need to connect to the local stack: addresses and logins."""

from __future__ import annotations

from urllib.parse import urlsplit

from neuroflux.clickhouse.login import with_login
from neuroflux.kafka.clients import security
from neuroflux.runtime.settings import Settings


def connections(settings: Settings) -> dict[str, str]:
    """Addresses and logins by the clients' names for them, passwords included.

    ``clickhouse`` is an address for clickhouse-driver and NEUROFLUX_CLICKHOUSE, ``clickhouse_http`` one for curl.
    Kafka's security settings are included if the stack is secure.
    """
    native = urlsplit(with_login(settings))
    http = urlsplit(settings.clickhouse_http)
    login, is_named, _ = native.netloc.rpartition("@")
    over_http = http._replace(netloc=f"{login}@{http.netloc}" if is_named else http.netloc, path="/")
    return {
        "kafka": settings.kafka,
        **{f"kafka_{name}": str(value) for name, value in security(settings).items() if isinstance(value, str)},
        "registry": settings.registry,
        "clickhouse": native.geturl(),
        "clickhouse_http": over_http._replace(query=f"database={native.path.strip('/')}").geturl(),
    }

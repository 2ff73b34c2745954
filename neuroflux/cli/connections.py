"""What other people's clients need to connect to the local stack: addresses, and the logins that go with them."""

from __future__ import annotations

from urllib.parse import urlsplit

from neuroflux.clickhouse.login import with_login
from neuroflux.kafka.clients import security
from neuroflux.runtime.settings import Settings


def connections(settings: Settings) -> dict[str, str]:
    """By name, as clients call them; passwords among them.

    ``clickhouse`` is what clickhouse-driver takes as an address and NEUROFLUX_CLICKHOUSE may be set to;
    ``clickhouse_http`` what curl takes. Kafka's security is there where the stack is secure.
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

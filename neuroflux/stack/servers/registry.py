"""The schema registry as a local service: Apicurio, with Confluent's API and its ids in an H2 file."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from neuroflux.errors import UsageError
from neuroflux.runtime.credentials import read_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import SETUP
from neuroflux.stack.environment import base
from neuroflux.stack.install.lockfile import artifacts
from neuroflux.stack.servers import registry_server
from neuroflux.stack.servers.jvm import FLAGS, READ, archive, java
from neuroflux.stack.supervise.checks import serves
from neuroflux.stack.supervise.service import Port, Readiness, Service

SETTING = "NEUROFLUX_REGISTRY"
HEAP = "-Xmx256m"


def environment(folder: Path) -> dict[str, str]:
    """Its configuration, as environment variables for Quarkus."""
    return {
        # Behind the front of registry_server: any free port, which closes connections without a PROXY header. It would
        # answer whatever `Host` is asked for, so a web page could use it by DNS rebinding.
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": "0",
        "QUARKUS_HTTP_PROXY_USE_PROXY_PROTOCOL": "true",
        "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
        "QUARKUS_LOG_CATEGORY__IO_APICURIO__LEVEL": "WARN",
        # By default 9000, which is ClickHouse's; it is not used here, so any free port will do.
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": "0",
        "QUARKUS_MANAGEMENT_PROXY_USE_PROXY_PROTOCOL": "true",
        "APICURIO_STORAGE_KIND": "sql",
        "APICURIO_STORAGE_SQL_KIND": "h2",
        # An id must not be assigned twice: each commit is on disk before the answer, not half a second later.
        "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{folder / 'registry'};WRITE_DELAY=0",
        "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "1",
        "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "1",
    }


def access(password: str) -> dict[str, str]:
    """Everybody may read; only the setup step may write.

    Source: Apicurio Registry 3, "Configuring role-based authorization" and "anonymous read access"; Quarkus, "Using
    security with .properties file".
    """
    return {
        "APICURIO_AUTH_ROLE_BASED_AUTHORIZATION": "true",
        "APICURIO_AUTH_ANONYMOUS_READ_ACCESS_ENABLED": "true",
        "QUARKUS_HTTP_AUTH_BASIC": "true",
        "QUARKUS_SECURITY_USERS_EMBEDDED_PLAIN_TEXT": "true",
        f"QUARKUS_SECURITY_USERS_EMBEDDED_USERS_{SETUP.upper()}": password,
        f"QUARKUS_SECURITY_USERS_EMBEDDED_ROLES_{SETUP.upper()}": "sr-admin",
    }


def registry(settings: Settings) -> Service:
    """The service behind NEUROFLUX_REGISTRY."""
    address = urlsplit(settings.registry)
    if address.hostname is None or address.port is None:
        raise UsageError(f"{SETTING}: {settings.registry!r} has no host and port")
    (app,) = artifacts("registry")
    folder = settings.home.absolute() / "registry"
    passwords = read_credentials(settings.home)
    rules = access(passwords[SETUP]) if passwords else {}
    temporary = folder / "tmp"  # Vert.x creates a folder there that everybody can read
    jar = settings.cache.absolute() / app.stem / "quarkus-run.jar"
    loaded = archive("registry", settings.cache.absolute(), str(jar))
    front = (sys.executable, "-m", registry_server.__name__, address.hostname, str(address.port))
    return Service(
        name="registry",
        command=(*front, java(), *FLAGS, HEAP, f"-Djava.io.tmpdir={temporary}", f"{READ}{loaded}", "-jar", str(jar)),
        readiness=Readiness.CHECK,
        env=base(settings) | environment(folder) | rules,
        cwd=settings.home.absolute(),
        address=settings.registry,
        ports=(Port(address.hostname, address.port, SETTING),),
        downloads=(app,),
        archive=loaded,
        check=partial(serves, f"{settings.registry}/subjects"),
        prepare=partial(temporary.mkdir, parents=True, exist_ok=True),
    )

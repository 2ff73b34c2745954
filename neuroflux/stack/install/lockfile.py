"""The lock file ``jars.lock``: every file the local stack downloads, by coordinate and checksum."""

from __future__ import annotations

from importlib.resources import files

from msgspec import Struct

from neuroflux.errors import UsageError


class Artifact(Struct, frozen=True):
    """One file of a Maven repository. ``size`` is in bytes, ``sha256`` in hex."""

    service: str
    group: str
    name: str
    type: str
    classifier: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """``kafka-clients-4.4.0.jar``."""
        return f"{self.stem}.{self.type}"

    @property
    def stem(self) -> str:
        return "-".join(part for part in (self.name, self.version, self.classifier) if part)

    @property
    def path(self) -> str:
        """Its path below the address of a repository."""
        return f"{self.group.replace('.', '/')}/{self.name}/{self.version}/{self.file_name}"


def parse(text: str) -> tuple[Artifact, ...]:
    """Read lock lines: service, coordinate, SHA-256, bytes; raises UsageError with the number of a bad line."""
    lines = enumerate(text.splitlines(), 1)
    return tuple(_artifact(number, line) for number, line in lines if line.strip() and not line.startswith("#"))


def _artifact(number: int, line: str) -> Artifact:
    try:
        service, coordinate, sha256, size = line.split()
        group, name, kind, *classifier, version = coordinate.split(":")
        return Artifact(service, group, name, kind, ":".join(classifier), version, sha256, int(size))
    except ValueError as error:
        raise UsageError(f"jars.lock, line {number}: {error}") from error


def artifacts(service: str) -> tuple[Artifact, ...]:
    """The artifacts of this service."""
    text = files("neuroflux.stack.install").joinpath("jars.lock").read_text(encoding="utf-8")
    return tuple(artifact for artifact in parse(text) if artifact.service == service)

"""Install the files of the local stack into the per-user cache."""

from __future__ import annotations

import fcntl
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroflux.errors import StackError
from neuroflux.stack.home import full_disk_is_clear
from neuroflux.stack.install.lockfile import Artifact

ARCHIVE = "tar.gz"

Report = Callable[[str], None]
"""Receives the progress of a start, line by line."""


def repository() -> str:
    """The address of the Maven repository, from the jgo package."""
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
    except ImportError as error:
        raise StackError("the local stack is not installed: pip install 'neuroflux[stack]'") from error
    return str(MAVEN_CENTRAL_URL)


def install(artifacts: Iterable[Artifact], cache: Path, report: Report) -> None:
    """Fetch what is missing in the cache and unpack archives; raises DownloadFailed or DiskFull.

    Waits for another process that fills the same cache.
    """
    artifacts = tuple(artifacts)
    if all(present(artifact, cache) for artifact in artifacts):
        return
    from neuroflux.stack.install.download import fetch_all
    from neuroflux.stack.install.progress import downloading

    with full_disk_is_clear(cache, "NEUROFLUX_CACHE"), alone(cache, report):
        absent = [artifact for artifact in artifacts if not present(artifact, cache)]
        with downloading(sum(artifact.size for artifact in absent), report) as advance:
            fetch_all(absent, cache, repository(), advance)
        for artifact in absent:
            if artifact.type == ARCHIVE:
                _unpack(cache / artifact.file_name, cache / artifact.stem)


def present(artifact: Artifact, cache: Path) -> bool:
    """Whether an archive is unpacked, or a jar is fetched."""
    return (cache / (artifact.stem if artifact.type == ARCHIVE else artifact.file_name)).exists()


@contextmanager
def alone(cache: Path, report: Report) -> Iterator[None]:
    """Hold the cache's lock; waits for another process that holds it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process prepares the local stack; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside ``folder``, then rename, so that it is complete or absent. The archive is deleted."""
    beside = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # The checksum vouches for the content; Python before 3.11.4 has no filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(beside)
    beside.rename(folder)
    archive.unlink()

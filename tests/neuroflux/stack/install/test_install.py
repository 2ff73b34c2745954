import errno
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from neuroflux.errors import DiskFull
from neuroflux.stack.install import download, install
from neuroflux.stack.install.lockfile import Artifact
from neuroflux.stack.install.progress import downloading


def archive_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("lib/run.jar")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"jar"))
    return buffer.getvalue()


ARCHIVE = archive_bytes()
APP = Artifact("registry", "org.x", "app", "tar.gz", "all", "1", hashlib.sha256(ARCHIVE).hexdigest(), len(ARCHIVE))


def pretend_to_fetch(artifacts: Iterable[Artifact], folder: Path, base: str, advance: download.Advance) -> None:
    for artifact in artifacts:
        (folder / artifact.file_name).write_bytes(ARCHIVE)


def refuse_to_fetch(artifacts: Iterable[Artifact], folder: Path, base: str, advance: download.Advance) -> None:
    raise AssertionError("nothing is missing")


def test_an_archive_is_unpacked_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "fetch_all", pretend_to_fetch)
    (tmp_path / "app-1-all.unpacking").mkdir()
    (tmp_path / "app-1-all.unpacking" / "left-behind").touch()
    install.install([APP], tmp_path, print)
    assert (tmp_path / "app-1-all" / "lib" / "run.jar").read_bytes() == b"jar"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "app-1-all"]


def test_installed_files_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "fetch_all", refuse_to_fetch)
    (tmp_path / "app-1-all").mkdir()
    install.install([APP], tmp_path, print)


def test_a_full_disk_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "fetch_all", fill)
    with pytest.raises(DiskFull, match="NEUROFLUX_CACHE"):
        install.install([APP], tmp_path, print)


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    lines: list[str] = []
    with downloading(2_000_000, lines.append, Console(file=io.StringIO())) as advance:
        for _ in range(20):
            advance(100_000)
    assert lines[0] == "downloading the local stack: 0 % of 2 MB"
    assert lines[-1] == "downloading the local stack: 100 % of 2 MB"
    assert len(lines) == 11


def test_progress_is_a_bar_on_a_terminal() -> None:
    lines: list[str] = []
    screen = io.StringIO()
    with downloading(2_000_000, lines.append, Console(file=screen, force_terminal=True, width=80)) as advance:
        advance(1_000_000)
    assert lines == []
    assert "1.0/2.0 MB" in screen.getvalue()


def test_the_repository_is_jgos() -> None:
    assert install.repository().startswith("https://")

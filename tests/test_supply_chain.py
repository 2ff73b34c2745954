"""Everything that is installed is pinned with its hash, including pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from neuroflux.stack.install.lockfile import artifacts

ROOT = Path(__file__).parents[1]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def pins(lock: Path) -> dict[str, str]:
    """The pinned requirements, with their hashes."""
    parts = re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text())
    return {part.partition("==")[0]: part for part in parts if "==" in part}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_everything_is_pinned_with_a_hash(lock: Path) -> None:
    pinned = pins(lock)
    assert pinned
    assert [name for name, part in pinned.items() if "--hash=sha256:" not in part] == []


def test_pip_itself_is_the_locked_one() -> None:
    locked = pins(ROOT / "requirements-pip.lock")["pip"].split()[0]
    assert f"pip=={version('pip')}" == locked, "make .venv/ready"
    with pytest.raises(PackageNotFoundError):
        version("setuptools")


def test_every_venv_gets_the_locked_pip_and_installs_by_hash() -> None:
    """Also in the image: its pip is replaced before it installs anything else."""
    makefile, dockerfile = (ROOT / "Makefile").read_text(), (ROOT / "Dockerfile").read_text()
    assert makefile.count("-m venv") == makefile.count("$(call own_pip,") == 3
    installs = [line for line in makefile.splitlines() if "install" in line and " -r " in line]
    assert len(installs) == 5
    assert all("$(LOCKED)" in line for line in installs)
    first, *_ = installed = [line for line in dockerfile.splitlines() if "pip install" in line and " -r " in line]
    assert "requirements-pip.lock" in first
    assert all("--require-hashes" in line for line in installed)
    assert "uvx" not in makefile, "it resolves again at every call"


def test_java_is_downloaded_by_hash_and_size() -> None:
    for one in (*artifacts("kafka"), *artifacts("registry")):
        assert len(bytes.fromhex(one.sha256)) == 32
        assert one.size > 0


def test_images_can_be_named_by_digest_and_renamed(tmp_path: Path) -> None:
    """Each image in both files, whatever its previous digest; the registry is queried by name only."""
    for name in ("Makefile", "Dockerfile", "docker-compose.yml"):
        shutil.copy(ROOT / name, tmp_path)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    for digest in ("a" * 64, "b" * 64):
        docker.write_text(f'#!/bin/sh\necho "$4" >> {tmp_path}/asked\necho sha256:{digest}\n')
        docker.chmod(0o700)
        path = f"{docker.parent}:{os.environ['PATH']}"
        subprocess.run(["make", "digests"], cwd=tmp_path, env=os.environ | {"PATH": path}, check=True, timeout=60)
        text = (tmp_path / "docker-compose.yml").read_text() + (tmp_path / "Dockerfile").read_text()
        named = re.findall(r"^(?: *image:|FROM) *([^ \n]+)", text, re.MULTILINE)
        assert {one.partition("@")[2] for one in named if "neuroflux:" not in one} == {f"sha256:{digest}"}
    assert "@" not in (tmp_path / "asked").read_text()

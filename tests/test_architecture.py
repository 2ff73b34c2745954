"""The rules of the tree that no type checker sees: what imports what, what is in the wheel, how fast the core loads."""

import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_point_inwards() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_neuroflux_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"neuroflux"}
    assert "neuroflux/schemas/orders.commands.avsc" in names
    assert "neuroflux/py.typed" in names


def test_the_core_imports_fast_and_alone() -> None:
    code = (
        "import neuroflux, sys; print(sorted({'asyncio', 'socket', 'aiokafka', 'faust', 'aiohttp'} & set(sys.modules)))"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 1.0, "a loose bound: the machine may be busy; alone it takes under 0.1 s"
    assert done.stdout.strip() == "[]"

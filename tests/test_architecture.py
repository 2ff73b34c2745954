"""Rules of the source tree: imports, the content of the wheel, and the import time of the core."""

import ast
import io
import subprocess
import sys
import time
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroflux.exchanges.catalogue import EXCHANGE_IDS

ROOT = Path(__file__).parents[1]
CODE = ("neuroflux", "producers", "streams", "consumers")
CATALOGUES = ("neuroflux/exchanges/catalogue.py", "neuroflux/sim/catalogue.py")


def test_imports_point_inwards() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_wheel_contains_neuroflux_only(tmp_path: Path) -> None:
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


def test_the_core_imports_fast_and_without_clients() -> None:
    code = (
        "import neuroflux, sys; print(sorted({'asyncio', 'socket', 'aiokafka', 'faust', 'aiohttp'} & set(sys.modules)))"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 1.0, "a loose bound: the machine may be busy; alone it takes under 0.1 s"
    assert done.stdout.strip() == "[]"


def _docstrings(source: str) -> set[int]:
    """The lines of strings that are statements: docstrings of modules, classes, functions and attributes."""
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    strings = [one for one in statements if isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)]
    return {line for one in strings for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}


def named_in(source: str) -> Iterator[str]:
    """Every name and string of the code that contains an exchange's id, with its line."""
    prose = _docstrings(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_code = token.type != tokenize.COMMENT and token.start[0] not in prose
        if is_code and any(exchange_id in token.string.lower() for exchange_id in EXCHANGE_IDS):
            yield f"{token.start[0]}: {token.string}"


def _is_of_an_exchange(path: Path) -> bool:
    """Whether a file is a catalogue, or in an exchange's own folder."""
    parts = path.parts
    is_own = parts[:2] in (("neuroflux", "exchanges"), ("neuroflux", "sim")) and parts[2] in EXCHANGE_IDS
    return is_own or path.as_posix() in CATALOGUES


def test_no_shared_code_names_an_exchange() -> None:
    paths = [path.relative_to(ROOT) for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    shared = [path for path in paths if not _is_of_an_exchange(path)]
    assert len(shared) > 200
    assert [f"{path}:{found}" for path in shared for found in named_in((ROOT / path).read_text())] == []


@pytest.mark.parametrize(
    "code",
    [
        'if exchange_id == "hyperliquid":\n    pass\n',
        "from neuroflux.sim.binance.wire import ApiError\n",
        "HYPERLIQUID_FEES = 1\n",
        'PATH = f"/binance/{1}"\n',
    ],
)
def test_a_name_in_code_is_found(code: str) -> None:
    assert list(named_in(code))


def test_prose_may_name_an_exchange() -> None:
    assert not list(named_in('"""Binance."""\n\nlimit = 1  # as at Binance\n"""Of Hyperliquid."""\n'))

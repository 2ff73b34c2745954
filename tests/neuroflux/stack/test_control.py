"""Handover of keys to a running stack: over a private socket, only to signing services, and nowhere else."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from neuroflux.errors import StackError, Unreachable
from neuroflux.runtime.settings import Settings
from neuroflux.stack import home
from neuroflux.stack.control import Handover, by_service, hand_over, is_here, socket_path
from neuroflux.stack.supervise.service import Readiness, Service, State
from neuroflux.stack.supervise.supervisor import Stack

KEY, SECRET = "KEY-THAT-IS-HANDED-OVER", "SECRET-THAT-IS-HANDED-OVER"
GIVEN = {"NEUROFLUX_BINANCE_API_KEY": KEY, "NEUROFLUX_BINANCE_SECRET_KEY": SECRET, "NEUROFLUX_BINANCE_TESTNET": "1"}
SHOW = "import os\nfrom neuroflux.runtime.readiness import ready\nimport time\n"
SHOW += "open('env-{name}', 'w').write(repr(sorted(n for n in os.environ if 'BINANCE' in n)))\nready()\n"
SHOW += "time.sleep(600)\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def service(settings: Settings, name: str) -> Service:
    return Service(
        name=name,
        command=(sys.executable, "-c", SHOW.format(name=name)),
        readiness=Readiness.NOTIFIES,
        env=dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=settings.home,
    )


def shown(settings: Settings, name: str) -> str:
    return (settings.home / f"env-{name}").read_text()


async def test_only_signing_services_get_keys_and_only_changed_ones_restart(settings: Settings) -> None:
    names = ("market", "account", "execution", "streams")
    stack = Stack(settings, services=[service(settings, name) for name in names])
    assert not is_here(settings)
    await stack.start()
    try:
        assert is_here(settings)
        assert socket_path(settings).stat().st_mode & 0o777 == 0o600
        before = {one.name: one.pid for one in stack.status()}
        assert set(await hand_over(settings, GIVEN, 20)) == {"market", "account", "execution"}
        after = {one.name: one.pid for one in stack.status()}
        assert {name for name in names if before[name] != after[name]} == {"market", "account", "execution"}
        assert {one.state for one in stack.status()} == {State.READY}
        assert {one.restarts for one in stack.status()} == {0}, "they did not die"
        assert shown(settings, "account") == shown(settings, "execution") == repr(sorted(GIVEN))
        assert shown(settings, "market") == "['NEUROFLUX_BINANCE_TESTNET']"
        assert await hand_over(settings, GIVEN, 20) == (), "the same again changes nothing"
        assert {one.name: one.pid for one in stack.status()} == after
        assert not found(settings.home, KEY, SECRET)
        assert SECRET not in repr(stack.__dict__)
        assert SECRET not in arguments(after.values())
    finally:
        await stack.stop()
    assert not is_here(settings)
    assert not socket_path(settings).exists()


def arguments(pids: Iterable[int]) -> str:
    """The command lines of processes, as any user of the machine sees them."""
    numbers = ",".join(map(str, pids))
    return subprocess.run(["ps", "-o", "args=", "-p", numbers], capture_output=True, text=True, check=True).stdout


def found(folder: Path, *secrets: str) -> list[Path]:
    """The files below a folder that contain one of the secrets."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return [one for one in files if any(secret.encode() in one.read_bytes() for secret in secrets)]


async def test_a_stack_of_another_pipeline_refuses_a_handover(settings: Settings) -> None:
    stack = Stack(settings, services=[service(settings, "account")])
    await stack.start()
    try:
        other = settings.model_copy(update={"kafka": "elsewhere:9092"})
        with pytest.raises(StackError, match="not elsewhere:9092") as refused:
            await hand_over(other, GIVEN, 20)
        assert SECRET not in str(refused.value)
        assert "BINANCE" not in shown(settings, "account")
    finally:
        await stack.stop()


async def test_without_a_stack_a_handover_is_unreachable(settings: Settings) -> None:
    with pytest.raises(Unreachable, match="did not accept the handover"):
        await hand_over(settings, GIVEN, 5)


async def test_an_invalid_handover_is_answered(settings: Settings) -> None:
    stack = Stack(settings, services=[service(settings, "account")])
    await stack.start()
    try:
        for line in (b"{}\n", b"nonsense\n", b'{"kafka": 3, "variables": {}}\n'):
            reader, writer = await asyncio.open_unix_connection(str(socket_path(settings)))
            writer.write(line)
            assert b"not a handover" in await reader.readline()
            writer.close()
    finally:
        await stack.stop()


async def test_a_path_too_long_for_a_socket_does_not_stop_the_stack(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ("long" * 30))
    settings.home.mkdir()
    stack = Stack(settings, services=[service(settings, "account")])
    await stack.start()
    try:
        assert not is_here(settings)
    finally:
        await stack.stop()


def test_a_handover_has_no_readable_text() -> None:
    assert SECRET not in repr(Handover("kafka", GIVEN))
    assert "keys" not in home.Saved.__struct_fields__
    given: Mapping[str, Mapping[str, str]] = by_service(GIVEN | {"PATH": "/evil"})
    assert all("PATH" not in one for one in given.values()), "only our own variables"
    assert SECRET not in repr(given["market"])
    names: Sequence[str] = sorted(given)
    assert names == ["account", "execution", "market"]

"""The program reports an error in one line and by its exit code: 2 for wrong use, 1 for failure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroflux.cli.app import app

PROGRAM = Path(sys.executable).with_name("neuroflux")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        env=environment or None,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nosuch"], "nosuch"),
        (["order", "buy"], "market"),
        (["order", "hold", "BTC/USD", "1"], "hold"),
        (["order", "buy", "BTC/USD", "abc"], "abc"),
        (["order", "buy", "BTC/USD", "nan"], "nan"),
        (["order", "buy", "BTC/USD", "1_000"], "1_000"),
        (["order", "buy", "BTC/USD", "\uff11"], "\uff11"),
        (["order", "buy", "BTC/USD", "1e99999"], "1e99999"),
        (["order", "buy", "BTC/USD", "1", "--type", "limit"], "--price"),
        (["decode", "mtgox"], "mtgox"),
        (["watch", "nosuch"], "nosuch"),
        (["up", "--brokers", "2"], "--brokers"),
        (["logs", "nosuch"], "nosuch"),
        (["audit", "--nosuch"], "--nosuch"),
        (["audit", "surplus"], "surplus"),
        (["up", "--trade"], "--live"),
        (["up", "--live", "--trade"], "--yes"),
        (["run", "--live", "--trade"], "--yes"),
    ],
)
def test_wrong_use_exits_with_2_and_one_line(arguments: list[str], named: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert named in done.stderr


def test_an_invalid_setting_is_named(tmp_path: Path) -> None:
    done = run("status", NEUROFLUX_EXCHANGES="mtgox", NEUROFLUX_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "NEUROFLUX_EXCHANGES" in done.stderr


def test_a_stack_that_does_not_answer_exits_with_1_and_one_line() -> None:
    done = run(
        "order", "buy", "BTC/USD", "1", NEUROFLUX_REGISTRY="http://127.0.0.1:1/apis", NEUROFLUX_KAFKA="127.0.0.1:1"
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "registry" in done.stderr


def test_an_audit_without_a_stack_exits_with_1_and_one_line() -> None:
    done = run("audit", NEUROFLUX_KAFKA="127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "does not answer" in done.stderr


@pytest.mark.parametrize(
    "command",
    ["run", "up", "down", "status", "logs", "sim", "order", "cancel", "watch", "decode", "halt", "resume", "audit"],
)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert command in result.stdout


def test_decode_reads_frames_and_writes_events() -> None:
    frame = '{"u":7,"s":"BNBUSDT","b":"25.350","B":"31.21","a":"25.36","A":"40.66"}'
    line = json.dumps({"dir": "ws", "raw": frame, "ts_recv": 1.5})
    done = subprocess.run(
        [PROGRAM, "decode", "binance"],
        input=line + "\nnonsense\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    quote, error = (json.loads(text) for text in done.stdout.splitlines())
    assert (quote["line"], quote["type"], quote["symbol"], quote["bid_price"]) == (1, "quote", "BNBUSDT", "25.350")
    assert quote["received_time"] == 1_500_000
    assert (error["line"], error["type"]) == (2, "error")


def test_decode_accepts_any_bytes_in_any_locale() -> None:
    lines = [b'{"raw":"\xff\xfe"}', b"\x00\x1c", b'{"raw":"\\ud800"}', '{"raw":"é","dir":"ü"}'.encode(), b"[" * 200_000]
    done = subprocess.run(
        [PROGRAM, "decode", "hyperliquid"],
        input=b"\n".join(lines),
        capture_output=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )
    assert [json.loads(text)["line"] for text in done.stdout.splitlines()] == [1, 2, 3, 4, 5]
    assert {json.loads(text)["type"] for text in done.stdout.splitlines()} == {"error"}
    assert done.stderr == b""

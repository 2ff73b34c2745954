"""The output of the command and its exit code: 1 for a difference, 0 for none."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pytest

from neuroflux.cli.app import main
from neuroflux.cli.audit.audit import Audit
from neuroflux.cli.audit.figures import Figure, Finding, Key, Verdict
from neuroflux.runtime.settings import Settings

KEY = Key("wallet", "a", "USDC", "account.balances")
FIGURE = Figure(Decimal("1.10"), Decimal("1"), Decimal("1"), Decimal("0.01"), "rounding")
AGREES = Finding(KEY, FIGURE, Verdict.AGREES)
IN_FLIGHT = Finding(KEY._replace(what="free"), FIGURE, Verdict.IN_FLIGHT, "agreed in reading 2 of 5")
DIFFERS = Finding(KEY._replace(what="position"), FIGURE, Verdict.DIFFERS)


def run_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: list[Finding], *options: str
) -> tuple[int, str, str]:
    async def found(settings: Settings) -> Audit:
        return Audit(findings, ["b account: no keys"], ["a: 2 open orders that the pipeline did not place"])

    monkeypatch.setattr("neuroflux.cli.audit.audit.audit", found)
    monkeypatch.setattr(sys, "argv", ["neuroflux", "audit", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_difference_exits_with_1_and_shows_values_tolerance_and_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_audit(monkeypatch, capsys, [AGREES, IN_FLIGHT, DIFFERS])
    assert code == 1
    assert err == "neuroflux: 1 figures differ from the exchanges' own\n"
    shown = out.splitlines()
    assert shown[0] == ("DIFFERS a USDC position (account.balances): reported 1.10, own 1, tolerance 0.01 (rounding)")
    assert shown[1].startswith("IN FLIGHT a USDC free")
    assert shown[1].endswith("agreed in reading 2 of 5")
    assert shown[2:4] == ["not checked: b account: no keys", "note: a: 2 open orders that the pipeline did not place"]
    assert len(shown) == 5, "what agrees is counted, and not listed"


def test_no_difference_exits_with_0_and_json_is_an_object_per_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_audit(monkeypatch, capsys, [AGREES, IN_FLIGHT], "--json")
    assert (code, err) == (0, "")
    first, *_, last = (json.loads(line) for line in out.splitlines())
    assert (first["kind"], first["what"], first["reported"], first["own"]) == ("in flight", "free", "1.10", ["1", "1"])
    assert last == {"kind": "summary", "counts": {"agrees": 1, "in flight": 1, "not checked": 1}}

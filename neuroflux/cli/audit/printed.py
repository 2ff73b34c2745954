"""An audit as lines of text or JSON objects."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from neuroflux.cli.audit.audit import Audit
from neuroflux.cli.audit.figures import Finding, Value, Verdict


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of ``--json``; ``kind`` is ``differs``, ``in flight``, ``not checked``, ``note`` or ``summary``."""

    kind: str
    what: str = ""
    exchange: str = ""
    subject: str = ""
    source: str = ""
    reported: str | None = None
    own: tuple[str | None, str | None] | None = None
    tolerance: str = ""
    reason: str = ""
    counts: dict[str, int] = {}


def lines(found: Audit) -> Iterator[Line]:
    """Differences first, then what is in flight, what could not be checked, notes, and the counts."""
    for verdict in (Verdict.DIFFERS, Verdict.IN_FLIGHT):
        yield from (_line(one) for one in found.findings if one.verdict is verdict)
    yield from (Line("not checked", reason=why) for why in found.unchecked)
    yield from (Line("note", reason=text) for text in found.notes)
    counts = Counter(str(one.verdict) for one in found.findings)
    yield Line("summary", counts=dict(counts) | {"not checked": len(found.unchecked)})


def _line(one: Finding) -> Line:
    key, figure = one.key, one.figure
    own = (_text(figure.before), _text(figure.after))
    tolerance = f"{figure.tolerance:f}" + (f" ({figure.why})" if figure.why else "")
    return Line(str(one.verdict), *key, _text(figure.reported), own, tolerance, one.reason)


def _text(value: Value) -> str | None:
    return f"{value:f}" if isinstance(value, Decimal) else value


def readable(line: Line) -> str:
    """``DIFFERS binanceusdm USDT free (account.balances): reported 1, the exchange 2 .. 3, tolerance …``."""
    match line.kind:
        case "summary":
            return ", ".join(f"{count} {name}" for name, count in line.counts.items())
        case "not checked" | "note":
            return f"{line.kind}: {line.reason}"
    before, after = line.own or (None, None)
    theirs = f"{before}" if before == after else f"{before} .. {after}"
    figure = f"{line.exchange} {line.subject} {line.what} ({line.source})"
    why = f"; {line.reason}" if line.reason else ""
    return f"{line.kind.upper()} {figure}: reported {line.reported}, own {theirs}, tolerance {line.tolerance}{why}"


def show(found: Audit, *, as_json: bool) -> None:
    for line in lines(found):
        text = msgspec.json.encode(line).decode() if as_json else readable(line)
        sys.stdout.write(text + "\n")


def differences(found: Audit) -> list[Finding]:
    return [one for one in found.findings if one.verdict is Verdict.DIFFERS]

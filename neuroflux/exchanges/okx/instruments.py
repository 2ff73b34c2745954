"""What OKX lists: spot pairs, and perpetuals that are settled in USDT or USDC.

Source: https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments. Steps and bounds of perpetuals are in
contracts there. An instrument has no minimum notional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, perpetual_symbol, split_multiplier, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.kit.rows import taken
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.okx.numbers import ONE, ZERO, amount, coins, time_of
from neuroflux.exchanges.okx.rest import ID, checked

STATES: Final = frozenset({"live", "suspend", "preopen", "test", "rebase", "post_only", "settling"})
SETTLED_IN: Final = frozenset({"USDT", "USDC"})
CLOSING: Final[Microseconds] = 86_400_000_000
"""Before it is delisted a perpetual is only closed: the other leg of a pair would stay."""
_SPOT_FEES: Final = {"taker_fee": Decimal("0.001"), "maker_fee": Decimal("0.0008")}
_SWAP_FEES: Final = {"taker_fee": Decimal("0.0005"), "maker_fee": Decimal("0.0002")}


class Listed(Struct, frozen=True):
    """``expTime`` of a perpetual is when it is delisted, "" where that was not announced."""

    instId: str
    instType: str
    state: str
    tickSz: str
    lotSz: str
    minSz: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    ctType: str = ""
    ctVal: str = ""
    ctMult: str = ""
    ctValCcy: str = ""
    maxLmtSz: str = ""
    expTime: str = ""
    instIdCode: Long | None = None

    @property
    def is_offered(self) -> bool:
        """Whether it is of a family that is known here; inverse and dated ones are known, and left out."""
        if self.instType == "SPOT":
            return bool(self.baseCcy and self.quoteCcy)
        is_linear = self.instType == "SWAP" and self.ctType == "linear" and self.settleCcy in SETTLED_IN
        return is_linear and self.instId == f"{self.ctValCcy}-{self.settleCcy}-SWAP"


_ROW: Final = Decoder(Listed)


def listing_of(answers: Iterable[Answer]) -> Listing:
    """Read the lists; a bad row costs that row. Raises MalformedFrame for what is no list of instruments, and what
    ``checked`` raises."""
    made, faults = list[Instrument](), list[str]()
    for answer in answers:
        instruments, unread = _one(checked(answer), answer.received_at)
        made += instruments
        faults += unread
    return Listing(tuple(made), tuple(faults))


def _one(data: Raw, now: Microseconds) -> tuple[Sequence[Instrument], Sequence[str]]:
    made, faults = list[Instrument](), list[str]()

    def take(wire: Listed) -> None:
        if wire.is_offered:
            made.append(_instrument(wire, now))
            faults.extend(_remarks(wire))

    try:
        found = taken(data, _ROW.decode, take)
    except UNREADABLE as error:
        raise MalformedFrame(f"list of instruments: {error}") from error
    if found.faults and not found.good:
        raise MalformedFrame(f"list of instruments: {found.faults[0]}")
    return made, [*found.faults, *faults]


def _remarks(wire: Listed) -> Iterable[str]:
    if wire.state not in STATES:
        yield f"{wire.instId}: unknown status {wire.state[:80]!r}"
    if wire.expTime and wire.instType == "SWAP":
        yield f"{wire.instId}: is delisted at {_utc(time_of(wire.expTime))}"


def _utc(time: Microseconds) -> str:
    try:
        return f"{datetime.fromtimestamp(time // 1_000_000, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return str(time)


def _instrument(wire: Listed, now: Microseconds) -> Instrument:
    """Raises ValueError for a number that is none, or a size that an order can't be held against."""
    return Instrument(
        exchange=ID,
        name=wire.instId,
        tick_size=amount(wire.tickSz),
        active=wire.state == "live",
        asset_id=-1 if wire.instIdCode is None else wire.instIdCode,
        **(_spot(wire) if wire.instType == "SPOT" else _perpetual(wire, now)),
    )


def _spot(wire: Listed) -> dict[str, Any]:
    names = wire.baseCcy, wire.quoteCcy
    return {
        "symbol": spot_symbol(*names),
        "market": market_of(*names),
        "base": wire.baseCcy,
        "quote": wire.quoteCcy,
        "kind": InstrumentKind.SPOT,
        **_sizes(wire, ONE),
        **_SPOT_FEES,
    }


def _perpetual(wire: Listed, now: Microseconds) -> dict[str, Any]:
    contract, settle = coins(wire.ctVal, amount(wire.ctMult or "1")), wire.settleCcy
    if contract <= 0:
        raise ValueError(f"a contract of {wire.ctVal:.80} x {wire.ctMult:.80}")
    base, multiplier = split_multiplier(wire.ctValCcy)
    ends = time_of(wire.expTime)
    return {
        "symbol": perpetual_symbol(wire.ctValCcy, settle, settle),
        "market": market_of(base, settle),
        "base": base,
        "quote": settle,
        "settle": settle,
        "kind": InstrumentKind.PERPETUAL,
        "multiplier": multiplier,
        "closing_only": 0 < ends < now + CLOSING,
        "contract_size": contract,
        **_sizes(wire, contract),
        **_SWAP_FEES,
    }


def _sizes(wire: Listed, contract: Decimal) -> dict[str, Decimal]:
    """In coins."""
    step, least, most = (coins(text, contract) for text in (wire.lotSz, wire.minSz, wire.maxLmtSz))
    if min(step, least, most, amount(wire.tickSz)) < ZERO:
        raise ValueError("a step or a bound is negative")
    return {"quantity_step": step, "min_quantity": least, "max_quantity": most}

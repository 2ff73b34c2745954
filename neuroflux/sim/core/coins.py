"""What is traded on the exchanges that run here: symbols, steps, limits and fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

Kind = Literal["spot", "perpetual"]

BINANCE = "binance"
BINANCE_USDM = "binanceusdm"
HYPERLIQUID = "hyperliquid"
EXCHANGES = (BINANCE, BINANCE_USDM, HYPERLIQUID)

MAJORS = ("BTC", "ETH", "SOL", "USDC")
"""The bases whose books move five times a second; the others move once."""

_SPOT_FEES = (Decimal("0.001"), Decimal("0.001"))
_USDM_FEES = (Decimal("0.0005"), Decimal("0.0002"))
_HL_PERPETUAL_FEES = (Decimal("0.00045"), Decimal("0.00015"))
_HL_SPOT_FEES = (Decimal("0.0007"), Decimal("0.0004"))


class Listing(Struct, frozen=True):
    """One instrument of one exchange.

    ``symbol`` is the exchange's own name of it, ``base`` the coin whose price it follows, ``base_asset`` what the
    exchange calls a unit of it, which is ``multiplier`` coins. Prices move in steps of ``tick``, quantities in steps of
    ``lot``; books count both as integers. ``stride`` is the number of ticks between prices that a market maker uses.
    ``number`` is Hyperliquid's asset id. Fees are shares of the notional.
    """

    exchange: str
    symbol: str
    kind: Kind
    base: str
    base_asset: str
    quote: str
    tick: Decimal
    lot: Decimal
    start: float
    taker_fee: Decimal
    maker_fee: Decimal
    min_notional: Decimal
    multiplier: int = 1
    max_leverage: int = 1
    stride: int = 1
    number: int = 0

    @property
    def unit(self) -> Decimal:
        """What one tick times one lot is worth, in the quote asset."""
        return self.tick * self.lot

    @property
    def is_major(self) -> bool:
        return self.base in MAJORS

    def ticks(self, price: Decimal) -> int:
        """The price as a whole number of ticks; raises ValueError where it is none."""
        return _whole(price / self.tick)

    def lots(self, quantity: Decimal) -> int:
        """The quantity as a whole number of lots; raises ValueError where it is none."""
        return _whole(quantity / self.lot)


def _whole(value: Decimal) -> int:
    if value != value.to_integral_value():
        raise ValueError(f"{value} is no whole number of steps")
    return int(value)


# base: price in USD; Binance spot tick, lot; USDⓈ-M tick, lot; Hyperliquid size decimals, greatest leverage
_BASES: dict[str, tuple[str, str, str, str, str, int, int]] = {
    "BTC": ("65000", "0.01", "0.00001", "0.1", "0.001", 5, 40),
    "ETH": ("3400", "0.01", "0.0001", "0.01", "0.001", 4, 25),
    "SOL": ("150", "0.01", "0.001", "0.01", "0.01", 2, 20),
    "XRP": ("2.2", "0.0001", "0.1", "0.0001", "0.1", 0, 20),
    "DOGE": ("0.16", "0.00001", "1", "0.00001", "1", 0, 10),
    "ADA": ("0.55", "0.0001", "0.1", "0.0001", "1", 0, 10),
    "AVAX": ("28", "0.01", "0.01", "0.001", "1", 2, 10),
    "LINK": ("15", "0.01", "0.01", "0.001", "0.01", 1, 10),
    "BNB": ("600", "0.01", "0.001", "0.01", "0.01", 3, 10),
    "LTC": ("85", "0.01", "0.001", "0.01", "0.001", 2, 10),
    "BCH": ("400", "0.1", "0.001", "0.01", "0.001", 3, 10),
    "DOT": ("5.2", "0.001", "0.01", "0.001", "0.1", 1, 10),
    "UNI": ("8.5", "0.001", "0.01", "0.001", "1", 1, 10),
    "AAVE": ("180", "0.01", "0.001", "0.01", "0.1", 2, 10),
    "NEAR": ("4.1", "0.001", "0.1", "0.001", "1", 1, 10),
    "APT": ("7.3", "0.001", "0.01", "0.001", "0.1", 2, 10),
    "ARB": ("0.75", "0.0001", "0.1", "0.0001", "0.1", 1, 10),
    "OP": ("1.6", "0.001", "0.01", "0.0001", "0.1", 1, 10),
    "SUI": ("2.4", "0.0001", "0.1", "0.0001", "0.1", 1, 10),
    "TRX": ("0.28", "0.0001", "0.1", "0.00001", "1", 0, 10),
    "ATOM": ("6.5", "0.001", "0.01", "0.001", "0.01", 2, 5),
    "FIL": ("4.4", "0.001", "0.01", "0.001", "0.1", 1, 5),
    "PEPE": ("0.0000095", "0.00000001", "1", "0.0000001", "1", 0, 10),
    "HYPE": ("35", "", "", "0.001", "0.01", 2, 10),
}
_THOUSANDS = ("PEPE",)
_USDC_PERPETUALS = ("BTC", "ETH", "SOL")
_USDM_MIN_NOTIONAL = {"BTC": Decimal(50), "ETH": Decimal(20)}

PRICES = {base: float(row[0]) for base, row in _BASES.items()} | {"PURR": 0.2, "USDC": 1.0}
"""What every simulation starts from, in USD."""


def _binance() -> list[Listing]:
    listings = [
        _spot(base, quote, row[1], row[2], float(row[0]))
        for base, row in _BASES.items()
        if row[1]
        for quote in ("USDT", "USDC")
    ]
    return [*listings, _spot("USDC", "USDT", "0.0001", "1", 1.0)]


def _spot(base: str, quote: str, tick: str, lot: str, start: float) -> Listing:
    return Listing(
        BINANCE, base + quote, "spot", base, base, quote, Decimal(tick), Decimal(lot), start, *_SPOT_FEES, Decimal(5)
    )


def _usdm() -> list[Listing]:
    return [
        _usdm_listing(base, row, quote)
        for base, row in _BASES.items()
        for quote in (("USDT", "USDC") if base in _USDC_PERPETUALS else ("USDT",))
    ]


def _usdm_listing(base: str, row: tuple[str, str, str, str, str, int, int], quote: str) -> Listing:
    multiplier = 1000 if base in _THOUSANDS else 1
    name = base if multiplier == 1 else f"{multiplier}{base}"
    return Listing(
        exchange=BINANCE_USDM,
        symbol=name + quote,
        kind="perpetual",
        base=base,
        base_asset=name,
        quote=quote,
        tick=Decimal(row[3]),
        lot=Decimal(row[4]),
        start=float(row[0]) * multiplier,
        taker_fee=_USDM_FEES[0],
        maker_fee=_USDM_FEES[1],
        min_notional=_USDM_MIN_NOTIONAL.get(base, Decimal(5)),
        multiplier=multiplier,
        max_leverage=125 if base in MAJORS else 75,
    )


def _hyperliquid() -> list[Listing]:
    perpetuals = [
        _hyperliquid_listing(base, "perpetual", f"k{base}" if base in _THOUSANDS else base, number, row[5], row[6])
        for number, (base, row) in enumerate(_BASES.items())
    ]
    spot = [
        _hyperliquid_listing("PURR", "spot", "PURR/USDC", 10_000, 0),
        _hyperliquid_listing("HYPE", "spot", "@107", 10_107, 2),
        _hyperliquid_listing("BTC", "spot", "@142", 10_142, 5),
    ]
    return perpetuals + spot


def _hyperliquid_listing(
    base: str, kind: Kind, symbol: str, number: int, size_decimals: int, leverage: int = 1
) -> Listing:
    """Prices have at most 6 (spot 8) less the size's decimals, and at most five significant digits."""
    multiplier = 1000 if symbol.startswith("k") else 1
    price = PRICES[base] * multiplier
    tick = Decimal(1).scaleb(size_decimals - (6 if kind == "perpetual" else 8))
    digits_before_the_point = Decimal(str(price)).adjusted() + 1
    five_digits = Decimal(1).scaleb(digits_before_the_point - 5)
    fees = _HL_PERPETUAL_FEES if kind == "perpetual" else _HL_SPOT_FEES
    return Listing(
        exchange=HYPERLIQUID,
        symbol=symbol,
        kind=kind,
        base=base,
        base_asset={"@107": "HYPE", "@142": "UBTC", "PURR/USDC": "PURR"}.get(symbol, symbol),
        quote="USDC",
        tick=tick,
        lot=Decimal(1).scaleb(-size_decimals),
        start=price,
        taker_fee=fees[0],
        maker_fee=fees[1],
        min_notional=Decimal(10),
        multiplier=multiplier,
        max_leverage=leverage,
        stride=max(1, int(five_digits / tick)),
        number=number,
    )


LISTINGS: dict[str, tuple[Listing, ...]] = {
    BINANCE: tuple(_binance()),
    BINANCE_USDM: tuple(_usdm()),
    HYPERLIQUID: tuple(_hyperliquid()),
}
"""By exchange id."""

"""``get_market_data_aggregated``: one market, from every exchange that is fresh and agrees with the others.

Prices and volumes are from ``prices.aggregated`` (engine/markets/prices.py): for each instrument the volume-weighted
average of its trades in the last ``window_seconds``, or its mid price if it did not trade, in USD per unit of the base.
For all instruments together the price is that record's; for a subset it is computed in the same way: weighted by
volume, or by the USD at the top of each book if none traded. ``excluded`` names every other instrument, and the reason.
Best bid and ask of an exchange are those of one instrument, the one that traded most there: spot and perpetuals, and
quotes in several currencies, are never mixed into one spread.

``liquidity_score`` is that of engine/markets/prices.py, from the tops of the included books: 0 to 1, rising with the
USD there and falling with the mean spread; 0 if no book is fresh.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import fsum, nan

from msgspec import Struct

from neuroflux.domain import AggregatedPrice, BookSnapshot, Instrument, Microseconds, PriceSource
from neuroflux.engine.markets.conversion import Name
from neuroflux.engine.markets.prices import STALE, WINDOW, liquidity_score
from neuroflux.engine.routing.candidates import PRICE_LIFE
from neuroflux.errors import UnknownSymbol
from neuroflux.manager.answers import ExchangeData, InstrumentData, MarketDataAnswer, causes_answer, iso
from neuroflux.manager.exchange_names import expand
from neuroflux.manager.view import View

SHOWN_LEVELS = 10
"""How many levels of each side of a book an answer shows."""


class _Part(Struct, frozen=True):
    """One instrument: its book, its part of the price (None: excluded), and USD for one unit of its quote."""

    instrument: Instrument
    book: BookSnapshot[float] | None
    source: PriceSource | None
    rate: float

    @property
    def name(self) -> Name:
        return (self.instrument.exchange, self.instrument.symbol)

    @property
    def tops(self) -> tuple[float, float]:
        """Best bid and ask in USD per unit of the base; ``nan`` without a book."""
        if self.book is None or not self.book.has_both_sides:
            return nan, nan
        scale = self.rate / self.instrument.multiplier
        return self.book.bids[0].price * scale, self.book.asks[0].price * scale

    @property
    def depth(self) -> float:
        """USD at both tops of the book."""
        if self.book is None or not self.book.has_both_sides:
            return 0.0
        bid, ask = self.book.bids[0], self.book.asks[0]
        return (bid.price * bid.quantity + ask.price * ask.quantity) * self.rate

    @property
    def spread(self) -> float:
        """As a fraction of the mid."""
        bid, ask = self.tops
        return 2 * (ask - bid) / (ask + bid)


def market_data(view: View, symbol: str, exchanges: Collection[str] | None, now: Microseconds) -> MarketDataAnswer:
    """``symbol`` is a market (``BTC/USD``) or one instrument's; raises UnknownSymbol, UsageError."""
    requested = None if exchanges is None else expand(exchanges, "exchanges")
    listed = [one for one in view.called(symbol) if requested is None or one.exchange in requested]
    if not listed:
        where = "" if requested is None else f" on {', '.join(requested)}"
        raise UnknownSymbol(f"symbol: no instrument list names {symbol!r}{where}")
    price = _fresh_price(view, listed[0].market, now)
    parts = _parts(view, listed, price, now)
    included = [part for part in parts if part.source is not None]
    return _answer(view, symbol, parts, included, price, now)


def _fresh_price(view: View, market: str, now: Microseconds) -> AggregatedPrice | None:
    price = view.prices.get(market)
    return price if price is not None and now - price.event_time <= PRICE_LIFE else None


def _parts(view: View, listed: Iterable[Instrument], price: AggregatedPrice | None, now: Microseconds) -> list[_Part]:
    sources = {(one.exchange, one.symbol): one for one in price.sources} if price else {}
    parts = []
    for one in listed:
        rate = view.rate(one.quote, now)
        book = view.book(one)
        source = sources.get((one.exchange, one.symbol)) if _is_fresh(book, now) else None
        parts.append(_Part(one, book, source, rate.mid if rate else nan))
    return parts


def _is_fresh(book: BookSnapshot[float] | None, now: Microseconds) -> bool:
    """Whether the book is fresh. After an exchange was silent, quotes may arrive before the book does."""
    return book is not None and book.has_both_sides and abs(now - book.received_time) <= STALE


def _answer(
    view: View,
    symbol: str,
    parts: Sequence[_Part],
    included: Sequence[_Part],
    price: AggregatedPrice | None,
    now: Microseconds,
) -> MarketDataAnswer:
    sources = [part.source for part in included if part.source is not None]
    whole = price is not None and len(sources) == len(price.sources)
    market = parts[0].instrument.market
    return {
        "symbol": symbol,
        "aggregated_price": price.price if price and whole else _weighted(included),
        "price_range": {
            "min": min((one.price for one in sources), default=nan),
            "max": max((one.price for one in sources), default=nan),
        },
        "total_volume": fsum(one.volume for one in sources),
        "liquidity_score": price.liquidity_score if price and whole else _score(included),
        "exchange_data": _by_exchange(parts),
        "timestamp": iso(price.event_time if price else now),
        "data_freshness": _freshness(parts, now),
        "status": "live" if sources else "no_data",
        "window_seconds": WINDOW / 1e6,
        "excluded": {
            f"{part.instrument.exchange}:{part.instrument.symbol}": _why_not(view, part, market, price, now)
            for part in parts
            if part.source is None
        },
        "causes": causes_answer(price.causes if price else ()),
    }


def _weighted(parts: Sequence[_Part]) -> float:
    """By volume, or while none traded by the USD at the tops; ``nan`` of nothing."""
    figures = [(part.source.price, part.source.volume, part.depth) for part in parts if part.source is not None]
    for weights in ([volume for _, volume, _ in figures], [depth for *_, depth in figures], [1.0] * len(figures)):
        whole = sum(weights)
        if whole > 0:
            return sum(price * weight for (price, *_), weight in zip(figures, weights, strict=True)) / whole
    return nan


def _score(parts: Sequence[_Part]) -> float:
    shown = [part for part in parts if part.depth > 0]
    if not shown:
        return 0.0
    return liquidity_score(sum(part.depth for part in shown), sum(part.spread for part in shown) / len(shown))


def _why_not(view: View, part: _Part, market: str, price: AggregatedPrice | None, now: Microseconds) -> str:
    """Why an instrument has no share in the price of the market."""
    instrument, book = part.instrument, part.book
    if instrument.market != market:
        return f"market: it is of {instrument.market}, and the price is of {market}"
    if not instrument.active:
        return f"inactive: {instrument.exchange} does not trade it"
    if book is None or not book.has_both_sides:
        return "stale: no book"
    if not _is_fresh(book, now):
        return f"stale: the last book is {(now - book.received_time) / 1e6:.1f} s old"
    if part.rate != part.rate:
        return f"conversion: no fresh rate for {instrument.quote}"
    if price is None:
        return f"stale: no price of {instrument.market} in the last {PRICE_LIFE / 1e6:.0f} s"
    excluded = view.exclusions.get(part.name)
    return f"outlier: {excluded.detail}" if excluded else "the price was made before its data came"


# ── by exchange ──────────────────────────────────────────────────────────────────────────────────────────────────


def _freshness(parts: Iterable[_Part], now: Microseconds) -> dict[str, float]:
    """Seconds since the newest book of each exchange was received."""
    newest: dict[str, Microseconds] = {}
    for part in parts:
        if part.book is not None:
            exchange = part.instrument.exchange
            newest[exchange] = max(newest.get(exchange, 0), part.book.received_time)
    return {exchange: (now - time) / 1e6 for exchange, time in newest.items()}


def _by_exchange(parts: Iterable[_Part]) -> dict[str, ExchangeData]:
    of: dict[str, list[_Part]] = {}
    for part in parts:
        of.setdefault(part.instrument.exchange, []).append(part)
    return {exchange: _exchange(here) for exchange, here in of.items()}


def _exchange(parts: Sequence[_Part]) -> ExchangeData:
    included = [part for part in parts if part.source is not None]
    most = max(included, key=lambda part: (part.source.volume if part.source else 0.0, part.depth), default=None)
    bid, ask = most.tops if most is not None else (nan, nan)
    return {
        "bid": bid,
        "ask": ask,
        "price": _weighted(included),
        "volume": fsum(part.source.volume for part in included if part.source is not None),
        "instruments": {part.instrument.symbol: _raw(part) for part in parts},
    }


def _raw(part: _Part) -> InstrumentData:
    bids = part.book.bids if part.book else ()
    asks = part.book.asks if part.book else ()
    return {
        "bid": bids[0].price if bids else nan,
        "ask": asks[0].price if asks else nan,
        "bid_size": bids[0].quantity if bids else nan,
        "ask_size": asks[0].quantity if asks else nan,
        "bids": [(level.price, level.quantity) for level in bids[:SHOWN_LEVELS]],
        "asks": [(level.price, level.quantity) for level in asks[:SHOWN_LEVELS]],
        "book_time": iso(part.book.received_time) if part.book else "",
        "price_usd": part.source.price if part.source else nan,
        "volume": part.source.volume if part.source else nan,
        "included": part.source is not None,
    }

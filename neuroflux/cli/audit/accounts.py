"""Balances, free funds and positions of topics and façade, compared with the exchanges' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from msgspec.structs import replace

from neuroflux.cli.audit.figures import ZERO, Figure, Key, Value
from neuroflux.cli.audit.reading import Exchanges, Reported
from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnBalance, OwnPosition

Pair = tuple[Key, Figure]
NOTHING = OwnBalance(ZERO, ZERO, ZERO)
FLAT = OwnPosition(ZERO, ZERO, ZERO)
ROUNDED = Decimal("1e-8")
"""Exchanges write margin amounts, and sums of them, with 8 decimal places."""
ENTRY_ROUNDED = Decimal("1e-7")
"""A fraction: an entry price is an average that stream and REST round differently."""
PUBLISHED: Final[Microseconds] = 1_000_000
"""From an exchange's answer to its record in the log."""


def accounts(reported: Reported, before: Exchanges, after: Exchanges) -> Iterator[Pair]:
    """Every figure of the accounts that could be read before and after."""
    for exchange, own in before.items():
        later = after[exchange].account if exchange in after else None
        if own.account is not None and later is not None:
            kinds = (one(reported, exchange, own.account, later) for one in (_balances, _positions, _unified))
            as_of = max(reported.as_of.get(exchange, 0) - PUBLISHED, 0)
            for key, figure in chain.from_iterable(kinds):
                yield key, replace(figure, as_of=as_of, answered=own.answered_at)


def _balances(reported: Reported, exchange: str, before: OwnAccount, after: OwnAccount) -> Iterator[Pair]:
    margin = bool(before.positions or after.positions)
    ours = {asset: one for (where, asset), one in reported.balances.items() if where == exchange}
    for asset in sorted({*ours, *before.balances, *after.balances}):
        current, first, last = ours.get(asset), before.balances.get(asset, NOTHING), after.balances.get(asset, NOTHING)
        if current is None and first == last == NOTHING:
            continue
        wallet = current.total - current.unrealised_pnl if current else ZERO
        yield _key("wallet", exchange, asset), Figure(wallet, first.wallet, last.wallet, ROUNDED, "8 places")
        if first.free is not None and last.free is not None:
            free = current.free if current else ZERO
            yield _key("free", exchange, asset), _moving(free, first.free, last.free, moves=margin)
        if first.in_orders is not None and last.in_orders is not None:
            held = current.in_orders if current else ZERO
            yield _key("in orders", exchange, asset), Figure(held, first.in_orders, last.in_orders, ROUNDED, "8 places")


def _key(what: str, exchange: str, asset: str, source: str = "account.balances") -> Key:
    return Key(what, exchange, asset, source)


def _moving(reported: Value, before: Value, after: Value, *, moves: bool) -> Figure:
    why = "between the exchange's answers before and after: it moves with the mark price" if moves else "8 places"
    return Figure(reported, before, after, ROUNDED, why, moves)


def _positions(reported: Reported, exchange: str, before: OwnAccount, after: OwnAccount) -> Iterator[Pair]:
    ours = {_name(reported, exchange, symbol): one for (where, symbol), one in _of(reported, exchange)}
    for name in sorted({*ours, *before.positions, *after.positions}):
        current, first, last = ours.get(name), before.positions.get(name, FLAT), after.positions.get(name, FLAT)
        quantity = current.quantity if current else ZERO
        if not quantity and first.quantity == last.quantity == ZERO:
            continue
        key = ("account.positions", exchange, name)
        yield _position("position", key), Figure(quantity, first.quantity, last.quantity)
        entry, tolerance = (
            current.entry_price if current else ZERO,
            max(first.entry_price, last.entry_price) * ENTRY_ROUNDED,
        )
        yield _position("entry price", key), Figure(entry, first.entry_price, last.entry_price, tolerance, "rounding")
        profit = current.unrealised_pnl if current else ZERO
        yield _position("unrealised", key), _moving(profit, first.unrealised_pnl, last.unrealised_pnl, moves=True)


def _of(reported: Reported, exchange: str) -> Iterator[tuple[tuple[str, str], Any]]:
    return ((name, one) for name, one in reported.positions.items() if name[0] == exchange)


def _position(what: str, key: tuple[str, str, str]) -> Key:
    source, exchange, name = key
    return Key(what, exchange, name, source)


def _name(reported: Reported, exchange: str, symbol: str) -> str:
    """The exchange's own name; the symbol itself if no instrument has it."""
    instrument = reported.instruments.get((exchange, symbol))
    return instrument.name if instrument else symbol


# ── the façade's unified balance ─────────────────────────────────────────────────────────────────────────────────


def _unified(reported: Reported, exchange: str, before: OwnAccount, after: OwnAccount) -> Iterator[Pair]:
    current = answer_of(reported.unified, exchange)
    if current is None:
        return
    source = "get_unified_balance"
    for asset, one in sorted(current["assets"].items()):
        first, last = before.balances.get(asset, NOTHING), after.balances.get(asset, NOTHING)
        if first.free is None or last.free is None:
            continue
        available = Decimal(repr(one["available"]))
        figure = _moving(available, first.free, last.free, moves=bool(before.positions or after.positions))
        yield _key("available", exchange, asset, source), _doubled(figure)
    unrated = without_rate(reported, exchange, before, after)
    profit = Decimal(repr(current["unrealised_pnl_usd"]))
    figure = _moving(profit, profit_usd(reported, exchange, before), profit_usd(reported, exchange, after), moves=True)
    yield _key("unrealised USD", exchange, "all", source), replace(_doubled(figure), pending=unrated)
    total = Decimal(repr(current["total_usd"]))
    figure = _moving(total, equity_usd(reported, exchange, before), equity_usd(reported, exchange, after), moves=True)
    yield _key("equity USD", exchange, "all", source), replace(_doubled(figure), pending=unrated)


def answer_of(unified: Mapping[str, Any], exchange: str) -> Mapping[str, Any] | None:
    """An account's part of the answer, at the top level or in the ``parts`` of a shared name."""
    whole: Mapping[str, Any] = unified.get("exchange_breakdown", {})
    parts = {name: part for one in whole.values() for name, part in one["parts"].items()}
    found: Mapping[str, Any] | None = parts.get(exchange, whole.get(exchange))
    return found


def _doubled(figure: Figure) -> Figure:
    """A figure with a tolerance for the façade's doubles, whose last digits are rounded."""
    largest = max((abs(one) for one in (figure.before, figure.after) if isinstance(one, Decimal)), default=ZERO)
    return replace(figure, tolerance=ROUNDED + largest * Decimal("1e-9"))


def without_rate(reported: Reported, exchange: str, *readings: OwnAccount) -> str:
    """Why figures in USD of an account can't be compared: what it holds has no rate in this reading, or "".

    What no instrument trades never has one, and is left out on both sides.
    """
    traded = {asset for one in reported.instruments.values() for asset in (one.base, one.quote)}
    settles = _settles(reported, exchange)
    held = {asset for own in readings for asset, one in own.balances.items() if one.wallet}
    held |= {settles.get(name, "") for own in readings for name, one in own.positions.items() if one.quantity}
    unrated = sorted(held & traded - reported.rates.keys())
    return f"{', '.join(unrated)}: no rate in this reading" if unrated else ""


def profit_usd(reported: Reported, exchange: str, own: OwnAccount) -> Decimal | None:
    """The unrealised profit at the reported rates, which are compared separately; None if a rate is missing."""
    settles = _settles(reported, exchange)
    amounts = {name: (settles.get(name, ""), one.unrealised_pnl) for name, one in own.positions.items()}
    return _worth(reported, list(amounts.values()))


def _settles(reported: Reported, exchange: str) -> Mapping[str, str]:
    """The asset that each instrument of an exchange settles in, by the exchange's own name."""
    return {one.name: one.settle for (where, _), one in reported.instruments.items() if where == exchange}


def equity_usd(reported: Reported, exchange: str, own: OwnAccount) -> Decimal | None:
    """Wallets and unrealised profit at the reported rates; assets without a rate are left out, as in the façade."""
    wallets = [(asset, one.wallet) for asset, one in own.balances.items() if asset in reported.rates]
    worth, profit = _worth(reported, wallets), profit_usd(reported, exchange, own)
    return None if worth is None or profit is None else worth + profit


def _worth(reported: Reported, amounts: list[tuple[str, Decimal]]) -> Decimal | None:
    held = [(asset, amount) for asset, amount in amounts if amount]
    if any(asset not in reported.rates for asset, _ in held):
        return None
    return sum((amount * reported.rates[asset] for asset, amount in held), ZERO)

"""Tables compared with the log, and the view ``equity`` with the accounts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from neuroflux.cli.audit.accounts import Pair, equity_usd, without_rate
from neuroflux.cli.audit.figures import ZERO, Figure, Key
from neuroflux.cli.audit.reading import Exchanges, Reported


def tables(reported: Reported) -> Iterator[Pair]:
    """The rows of each table, compared with the records that were in the log before the rows were counted.

    A dead letter may be stored too: a record that could be decoded but not processed.
    """
    for table, (records, dead, rows) in reported.counts.items():
        why = f"{dead} are dead letters" if dead else ""
        half = Decimal(dead) / 2
        figure = Figure(Decimal(rows), records - half, records - half, half, why)
        yield Key("rows", "all", table, "ClickHouse"), figure


def equity(reported: Reported, before: Exchanges, after: Exchanges) -> Iterator[Pair]:
    """The newest minute of the view, by exchange, compared with the account's wallets and unrealised profit."""
    for exchange, own in before.items():
        later = after[exchange].account if exchange in after else None
        if own.account is None or later is None:
            continue
        worth = equity_usd(reported, exchange, own.account), equity_usd(reported, exchange, later)
        moved = sum(_moves(reported, exchange), ZERO)
        why = f"{moved:.2f} USD: the move of prices in the last two minutes"
        unrated = without_rate(reported, exchange, own.account, later)
        figure = Figure(reported.equity.get(exchange), *worth, moved, why, moves=True, pending=unrated)
        yield Key("equity USD, newest minute", exchange, "all", "equity"), figure


def _moves(reported: Reported, exchange: str) -> Iterator[Decimal]:
    """The recent move in USD of each holding: the view's prices are up to a minute old."""
    for (where, asset), one in reported.balances.items():
        if where == exchange:
            yield abs(one.total) * reported.ranges.get(f"{asset}/USD", ZERO)
    for name, position in reported.positions.items():
        instrument = reported.instruments.get(name)
        if name[0] == exchange and instrument is not None:
            yield abs(position.quantity) * instrument.multiplier * reported.ranges.get(instrument.market, ZERO)

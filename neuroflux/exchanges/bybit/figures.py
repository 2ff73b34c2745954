"""Rows of balances, positions, fees and the transaction log to ours.

Sources: https://bybit-exchange.github.io/docs/v5/account/wallet-balance, v5/position, v5/account/fee-rate,
v5/account/transaction-log and v5/enum ("type(uta-translog)").
"""

from __future__ import annotations

from typing import Final

from neuroflux.domain import AccountTransfer, Balance, Microseconds, Position, TransferKind
from neuroflux.exchanges.bybit.messages import ZERO, CoinRow, FeeRow, LogRow, PositionRow, amount, microseconds
from neuroflux.exchanges.bybit.names import ID, LINEAR
from neuroflux.exchanges.bybit.symbols import Symbols
from neuroflux.exchanges.kit.events import FeeRates, Ignored

TRANSFERS: Final = ("TRANSFER_IN", "TRANSFER_OUT")
_TRADED: Final = frozenset({"TRADE", "SETTLEMENT", "DELIVERY", "LIQUIDATION", "ADL"})
_RESULTS: Final = frozenset(
    {
        *("AIRDROP", "BONUS", "BONUS_RECOLLECT", "FEE_REFUND", "INTEREST", "AUTO_DEDUCTION"),
        *("CURRENCY_BUY", "CURRENCY_SELL", "AUTO_BUY_LIABILITY_INS_LOAN", "AUTO_SOLD_COLLATERAL_INS_LOAN"),
    }
)


def balance(wire: CoinRow, time: Microseconds) -> Balance:
    """``walletBalance`` has no unrealised profit, so ``total`` has none; a loss makes less of it free.

    The account's other coins are margin too, so that margins may exceed what there is of one: nothing is free then.
    Raises ValueError for what is no amount.
    """
    wallet, orders = amount(wire.walletBalance), amount(wire.locked) + amount(wire.totalOrderIM)
    bound = orders + amount(wire.totalPositionIM) - min(amount(wire.unrealisedPnl), ZERO)
    free = max(wallet - bound, ZERO)
    in_orders = min(orders, max(wallet - free, ZERO))
    return Balance(ID, wire.coin, free, in_orders, wallet - free - in_orders, wallet, time)


def position(wire: PositionRow, listed: str, symbols: Symbols, time: Microseconds) -> Position | Ignored:
    """Raises ValueError for what is no amount."""
    category = wire.category or listed or LINEAR
    if not symbols.has_position(category, wire.symbol):
        return Ignored("position of another product")
    size = amount(wire.size)
    quantity = -size if wire.side == "Sell" else size
    entry = amount(wire.entryPrice) or amount(wire.avgPrice)
    symbol = symbols.of(category, wire.symbol)
    return Position(ID, symbol, quantity, entry if size else ZERO, amount(wire.unrealisedPnl), time)


def fee_rates(wire: FeeRow, category: str, symbols: Symbols) -> FeeRates:
    """Raises ValueError for what is no fraction."""
    taker, maker = amount(wire.takerFeeRate), amount(wire.makerFeeRate)
    if not (abs(taker) < 1 and abs(maker) < 1):
        raise ValueError("a fee that is no fraction")
    return FeeRates(symbols.of(category or LINEAR, wire.symbol), taker, maker)


def transfer(wire: LogRow) -> AccountTransfer | Ignored:
    """What changed the account without a trade. Raises ValueError for what is no amount."""
    if wire.type in _TRADED:
        return Ignored("trade or funding")
    moved = TransferKind.TRANSFER if wire.type in TRANSFERS else TransferKind.UNKNOWN
    kind = TransferKind.RESULT if wire.type in _RESULTS else moved
    what = (kind, wire.type[:80], wire.id[:80], microseconds(wire.transactionTime))
    return AccountTransfer(ID, wire.currency, amount(wire.change), *what)

"""What an account holds and did: balances, positions, transfers, fills, and reports of orders. Amounts are absolute."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds, to_scale
from neuroflux.domain.orders import OrderState, OrderType, Side


class Liquidity(StrEnum):
    MAKER = "maker"
    TAKER = "taker"


class TransferKind(StrEnum):
    """What an amount is that came to an account, or left it, otherwise than by trading and funding.

    TRANSFER came from outside or went there. RESULT is the account's own gain or loss: a reward, a rebate, a conversion
    of one asset into another. UNKNOWN has a word that we do not know; it counts as a transfer.
    """

    TRANSFER = "transfer"
    RESULT = "result"
    UNKNOWN = "unknown"


class Balance(Struct, frozen=True):
    """What an account holds of an asset; ``total = free + in_orders + in_positions``.

    ``unrealised_pnl`` is the part of ``total`` that is unrealised profit of positions: 0 on exchanges whose totals
    leave it out. ``total - unrealised_pnl`` is the wallet on every exchange. ``pooled``: together with the account's
    other pooled assets it is margin for all perpetuals, whatever they settle in; ``free`` may then be below 0.
    """

    exchange: str
    asset: str
    free: Decimal
    in_orders: Decimal
    in_positions: Decimal
    total: Decimal
    event_time: Microseconds
    unrealised_pnl: Decimal = Decimal(0)
    pooled: bool = False


class AccountTransfer(Struct, frozen=True):
    """What came to an account (negative: left it), as the exchange names it; trades, their fees and funding are none.

    ``reason`` is the exchange's own word, ``transfer_id`` its id, made of time and amount where it gives none. An
    exchange may tell the same one again, over its stream and in answers: then all fields are the same. ``quantity`` is
    0 where the word is not known and has no sign.
    """

    exchange: str
    asset: str
    quantity: Decimal
    kind: TransferKind
    reason: str
    transfer_id: str
    event_time: Microseconds

    @property
    def identity(self) -> str:
        """What tells it from every other, as text."""
        told = (self.exchange, self.asset, self.reason, self.transfer_id, self.event_time)
        return ":".join((*map(str, told), f"{to_scale(self.quantity).normalize():f}"))


class Position(Struct, frozen=True):
    """A perpetual position; ``quantity`` is negative when short, in units of the wire's instrument."""

    exchange: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    unrealised_pnl: Decimal
    event_time: Microseconds


class Fill(Struct, frozen=True):
    """One execution of one of our orders; ``order_id`` is empty until the executor has matched it.

    ``fee`` is negative when the exchange paid a rebate. ``name`` is the exchange's own name of the instrument:
    ``(exchange, name, trade_id)`` identifies a fill also where ``symbol`` was not known yet.
    """

    order_id: str
    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    event_time: Microseconds
    name: str = ""

    @property
    def identity(self) -> tuple[str, str, str, Side]:
        """What tells this fill from every other: the exchange, its own name of the instrument, its trade id, the side.

        The side, since an account that trades with itself has two fills of one trade.
        """
        return self.exchange, self.name or self.symbol, self.trade_id, self.side


class OrderReport(Struct, frozen=True):
    """What an exchange says of one order: an acknowledgement, an update, an answer to a query.

    ``state`` is one of ACKNOWLEDGED, WORKING, FILLED, CANCELLED, EXPIRED, REJECTED. ``filled_quantity`` is cumulative;
    ``average_price`` is None where the exchange did not say it, and 0 before the first fill. ``price`` is 0 for a
    market order. ``client_order_id`` is empty where the exchange did not say it.
    """

    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    type: OrderType
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    state: OrderState
    reason: str
    event_time: Microseconds

"""Account data: balances, positions, transfers, fills, and order reports. Amounts are totals, never increments."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds, to_scale
from neuroflux.domain.orders import OrderState, OrderType, Side


class Liquidity(StrEnum):
    """The role of our order in an execution: it rested in the book (MAKER), or it traded at once (TAKER)."""

    MAKER = "maker"
    TAKER = "taker"


class TransferKind(StrEnum):
    """The kind of a balance change that is neither a trade nor funding.

    TRANSFER: a deposit or a withdrawal. RESULT: the account's own gain or loss, such as a reward, a rebate, or a
    conversion of one asset into another. UNKNOWN: the exchange's type is not known; it counts as a transfer.
    """

    TRANSFER = "transfer"
    RESULT = "result"
    UNKNOWN = "unknown"


class Balance(Struct, frozen=True):
    """The balance of one asset in one account, in units of the asset; ``total = free + in_orders + in_positions``.

    ``unrealised_pnl`` is the part of ``total`` that is unrealised profit of positions: 0 on exchanges whose totals
    exclude it. ``total - unrealised_pnl`` is the wallet balance on every exchange. ``pooled``: the asset is shared
    margin, with the account's other pooled assets, for all perpetuals, whatever they settle in; ``free`` may then be
    below 0.

    ``Balance("binance", "USDT", free=Decimal(90), in_orders=Decimal(10), in_positions=Decimal(0), total=Decimal(100),
    event_time=1_700_000_000_000_000)``
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
    """An amount that entered an account (negative: left it), as reported by the exchange; not trades, fees or funding.

    ``quantity`` is in units of the asset, and 0 where the type is unknown and the amount has no sign. ``reason`` is the
    exchange's own type, ``transfer_id`` its id, or time and amount where it gives none. An exchange may report the same
    transfer several times, on its stream and in answers: then all fields are equal.
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
        """A text that is unique to this transfer."""
        fields = (self.exchange, self.asset, self.reason, self.transfer_id, self.event_time)
        return ":".join((*map(str, fields), f"{to_scale(self.quantity).normalize():f}"))


class Position(Struct, frozen=True):
    """A position in a perpetual; ``quantity`` is negative when short, in units of the exchange's instrument.

    ``entry_price`` is per unit in the quote asset; ``unrealised_pnl`` is in the asset that the instrument settles in.
    A closed position is reported once more with ``quantity`` 0.
    """

    exchange: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    unrealised_pnl: Decimal
    event_time: Microseconds


class Fill(Struct, frozen=True):
    """One execution of one of our orders; ``order_id`` is empty until the executor has matched it to an order.

    ``price`` is in the quote asset and ``quantity`` in units of the exchange's instrument. ``fee`` is in units of
    ``fee_asset``, and negative for a rebate. ``name`` is the exchange's own name of the instrument:
    ``(exchange, name, trade_id)`` identifies a fill even where ``symbol`` was not known yet.
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
        """Unique to this fill: the exchange, its own name of the instrument, the trade id and the side.

        The side is included because an account that trades with itself has two fills of one trade.
        """
        return self.exchange, self.name or self.symbol, self.trade_id, self.side


class OrderReport(Struct, frozen=True):
    """The state of one order as reported by the exchange: an acknowledgement, an update, or an answer to a query.

    ``state`` is one of ACKNOWLEDGED, WORKING, FILLED, CANCELLED, EXPIRED, REJECTED. Quantities are in units of the
    exchange's instrument; ``filled_quantity`` is cumulative. ``price`` is 0 for a market order. ``average_price`` is 0
    before the first fill, and None where the exchange did not report it. ``client_order_id`` is empty where the
    exchange did not report it.
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

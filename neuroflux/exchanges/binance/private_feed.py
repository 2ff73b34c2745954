"""What the private feeds of Binance spot and USDⓈ-M request and read alike, at other paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from neuroflux.domain import Instrument, Microseconds
from neuroflux.exchanges.binance.fees import fees_requests
from neuroflux.exchanges.binance.messages import Head, opened
from neuroflux.exchanges.binance.order_paths import OrderPaths
from neuroflux.exchanges.binance.orders import Records
from neuroflux.exchanges.binance.pages import PAGE, next_page
from neuroflux.exchanges.binance.rest import signed
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request


class BinancePrivateFeed(PrivateFeed):
    """A subclass sets ``ORDER_PATHS`` and ``FEES``, and reads messages and figures.

    ``active`` are the symbols that had an order.
    """

    ORDER_PATHS: ClassVar[OrderPaths]
    FEES: ClassVar[str]

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(self.ORDER_PATHS.exchange, keys, instruments)
        self.active: set[str] = set()

    def figures(self, now: Microseconds) -> Sequence[Request]:
        raise NotImplementedError

    def message(self, raw: bytes | str, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        """Read an event, which its frame may have had inside ``event`` or ``data``."""
        raise NotImplementedError

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Fills are requested by symbol, for those that had an order here. The execution requests its own too."""
        keys, paths, start = self.keys, self.ORDER_PATHS, since // 1000
        return (
            *self.figures(now),
            signed(keys, "GET", paths.open_orders, now, paths.open_orders_weight, "openOrders"),
            *(
                signed(
                    keys, "GET", paths.fills, now, paths.fills_weight, "fills", symbol=name, startTime=start, limit=PAGE
                )
                for name in sorted(self.active)
            ),
        )

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        return fees_requests(self.keys, self.FEES, self.symbols, symbols, now)

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        """An event is inside ``event``, or ``data`` where a recording kept it so."""
        inner, head = opened(raw)
        return self.message(inner, head, received)

    def recorded(self, answer: Answer, found: Records, received: Microseconds) -> Sequence[FeedEvent]:
        """The orders or fills of an answer, and the request for the page after a full one."""
        more = next_page(self.keys, answer, found, self.ORDER_PATHS.fills, self.ORDER_PATHS.fills_weight, received)
        return [*found.records, *found.statuses(self.exchange, answer.request.tag, received), *more]

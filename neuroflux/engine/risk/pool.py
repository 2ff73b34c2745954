"""The margin of accounts with pooled assets (Binance: multi-assets mode, and futures credits).

In such an account a perpetual does not need its settlement asset: the margin is the sum of all assets at their live
rates. The exchange values some of them below their price (Binance: ``GET /fapi/v1/assetIndex``) and decides in the end.
An asset without a price adds nothing, and makes the sum unknown if its amount is negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from neuroflux.domain import Balance, Microseconds, Position
from neuroflux.engine.risk.limits import Seen

Price = Callable[[str], float | None]
"""USD for one unit of an asset; None without a fresh price."""
_AMOUNTS: Final = ("free", "in_orders", "in_positions", "total", "unrealised_pnl")


class Pools:
    """The newest pooled balances of each account that are not 0."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, tuple[Balance, Microseconds]]] = {}

    def take(self, balance: Balance, written: Microseconds) -> None:
        rows = self._rows.setdefault(balance.exchange, {})
        if balance.pooled and (balance.total or balance.free):
            rows[balance.asset] = (balance, written)
        else:
            rows.pop(balance.asset, None)

    def __contains__(self, exchange: str) -> bool:
        return bool(self._rows.get(exchange))

    def written(self, exchange: str) -> Microseconds:
        """When the oldest part was written to Kafka."""
        return min(written for _, written in self._rows[exchange].values())

    def seen(self, exchange: str) -> Seen:
        """When the newest part is from."""
        balance, written = max(self._rows[exchange].values(), key=lambda row: row[1])
        return Seen(written, balance.event_time)

    def balance(self, exchange: str, asset: str, price: Price) -> Balance | None:
        """The whole account in units of ``asset``; None if a needed price is missing."""
        rows = [balance for balance, _ in self._rows[exchange].values()]
        sums = {name: amount_in(asset, {one.asset: getattr(one, name) for one in rows}, price) for name in _AMOUNTS}
        known = {name: amount for name, amount in sums.items() if amount is not None}
        if len(known) < len(sums):
            return None
        return Balance(exchange, asset, **known, event_time=self.seen(exchange).event_time, pooled=True)


def amount_in(asset: str, amounts: Mapping[str, Decimal], price: Price) -> Decimal | None:
    """The sum of amounts by asset, in units of ``asset``; None if that, or a negative amount, has no price."""
    unit = price(asset)
    prices = {name: price(name) for name, amount in amounts.items() if amount}
    if unit is None or any(prices[name] is None and amounts[name] < 0 for name in prices):
        return None
    priced = ((amounts[name], one) for name, one in prices.items() if one is not None)
    return sum((amount * Decimal(str(one)) for amount, one in priced), Decimal(0)) / Decimal(str(unit))


def positions_in(asset: str, held: Iterable[tuple[Position, str]], price: Price) -> dict[str, Position] | None:
    """Positions, each with its settlement asset, as if they settled in ``asset``, by symbol; None without a price."""
    found: dict[str, Position] = {}
    for one, settle in held:
        rate = amount_in(asset, {settle: Decimal(1)}, price)
        if not rate:
            return None
        found[one.symbol] = replace(one, entry_price=one.entry_price * rate, unrealised_pnl=one.unrealised_pnl * rate)
    return found

"""What of a USDⓈ-M account's wallets is free, by the exchange's answers and, until the next one, by what it pushes.

``total`` is the wallet, without unrealised profit. ``free`` is the exchange's ``availableBalance``: wallet and
unrealised profit of cross positions, less the margins of positions and orders. ``in_orders`` is the margin of open
orders, and ``in_positions`` the rest: the margin of positions and their unrealised loss, less their unrealised profit.

A push names wallets and positions, and no margins. It changes ``free`` by the change of the wallet, of the profit and
of the margin, which is the position's value by its leverage. Where the leverage is not known the whole value counts:
``free`` is then too low until the account is requested again, and never too high.

In multi-assets mode ``availableBalance`` is what the whole account has, repeated for each asset, and would count as
often as there are assets. There ``free`` is what the asset's own wallet has left, below zero where others back
it, and at most ``availableBalance``. So the sum over all assets is what the account has. That is so of BNFCR too,
the credits of accounts in the EEA, at 1 USD a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from neuroflux.domain import Balance, Microseconds, to_scale
from neuroflux.exchanges.binance.messages import FuturesPosition, FuturesWallet, Time, microseconds
from neuroflux.exchanges.binance.orders import ZERO
from neuroflux.exchanges.binance.usdm_pushed import is_overtaken

_ONE: Final = Decimal(1)
_CREDITS: Final = "BNFCR"


class Asset(Struct, frozen=True):
    """A row of ``assets`` in the account."""

    asset: str
    walletBalance: Decimal
    availableBalance: Decimal | None = None
    crossUnPnl: Decimal | None = None
    unrealizedProfit: Decimal | None = None
    positionInitialMargin: Decimal = ZERO
    openOrderInitialMargin: Decimal = ZERO
    marginAvailable: bool = True
    updateTime: Time = 0

    @property
    def profit(self) -> Decimal:
        """Unrealised, of cross positions where that is reported separately."""
        return self.crossUnPnl if self.crossUnPnl is not None else self.unrealizedProfit or ZERO

    @property
    def own(self) -> Decimal:
        """What its own wallet has left."""
        return self.walletBalance + self.profit - self.positionInitialMargin - self.openOrderInitialMargin

    @property
    def is_pooled(self) -> bool:
        """Whether it shows that all assets are margin together: more is available than it has, or it is the credits.

        Source: Binance, "Futures Credits Trading Mode": profit, loss and fees are in BNFCR, all assets are margin.
        """
        most = max(self.walletBalance, ZERO) + max(self.profit, ZERO)
        return self.asset == _CREDITS or (self.availableBalance is not None and self.availableBalance > most)


class Bound(Struct, frozen=True):
    """What a position binds: its margin, and its unrealised profit where that is cross."""

    margin: Decimal = ZERO
    profit: Decimal = ZERO


class _Wallet(Struct, frozen=True):
    wallet: Decimal
    free: Decimal
    in_orders: Decimal = ZERO
    pooled: bool = False

    def balance(self, exchange: str, asset: str, time: Microseconds) -> Balance:
        free = self.free if self.pooled else max(self.free, ZERO)
        return Balance(
            exchange,
            asset,
            free,
            self.in_orders,
            self.wallet - free - self.in_orders,
            self.wallet,
            time,
            pooled=self.pooled,
        )


class Wallets:
    """The wallets of one account. ``settles`` has the asset in which an instrument is settled, by its name."""

    def __init__(self, exchange: str, settles: Mapping[str, str]) -> None:
        self._exchange, self._settles = exchange, settles
        self._wallets: dict[str, _Wallet] = {}
        self._bound: dict[tuple[str, str], Bound] = {}  # by name and side
        self._leverages: dict[str, Decimal] = {}
        self._changed: dict[str, Microseconds] = {}  # when a push last changed a wallet, by the exchange

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, assets: Sequence[Asset], is_multi: bool | None, time: Microseconds) -> list[Balance]:
        """Take in the account; ``is_multi`` is None where the mode is unknown, and is then deduced from the figures."""
        pooled = any(one.is_pooled for one in assets) if is_multi is None else is_multi
        for one in assets:
            self._wallets[one.asset] = _read(one, pooled)
        return self.again(assets, time)

    def overtakes(self, assets: Iterable[Asset], asked: Microseconds) -> bool:
        """Whether a wallet of an answer is older than what was pushed of it."""
        return any(
            one.walletBalance != self._wallets[one.asset].wallet
            and is_overtaken(microseconds(one.updateTime), asked, self._changed.get(one.asset, 0))
            for one in assets
            if one.asset in self._wallets
        )

    def again(self, assets: Iterable[Asset], time: Microseconds) -> list[Balance]:
        """Those that are known, as they are."""
        named = (one.asset for one in assets if one.asset in self._wallets)
        return [self._wallets[asset].balance(self._exchange, asset, time) for asset in named]

    def available(self, asset: str, wallet: Decimal, available: Decimal, time: Microseconds) -> Balance:
        """Take in a row of ``balance``, which names no margins."""
        before = self._wallets.get(asset, _Wallet(wallet, available))
        pooled = before.pooled or available > max(wallet, ZERO)
        free = min(before.free + wallet - before.wallet, available) if pooled else available
        self._wallets[asset] = _Wallet(wallet, free, before.in_orders, before.pooled)
        return self._wallets[asset].balance(self._exchange, asset, time)

    def forget(self, asset: str) -> None:
        """The account holds none of it any more."""
        self._wallets.pop(asset, None)

    def leverage(self, name: str, leverage: Decimal) -> None:
        if leverage >= 1:
            self._leverages[name] = leverage

    def holds(self, name: str, side: str, value: Decimal, margin: Decimal | None, profit: Decimal) -> None:
        """Take in a position of an answer: its value in the settling asset, which may be negative."""
        if margin and value:
            self.leverage(name, abs(value) / margin)
        self._bound[name, side] = Bound(margin if margin is not None else self._margin(name, value), profit)

    def holds_none(self, name: str) -> None:
        self._bound = {key: bound for key, bound in self._bound.items() if key[0] != name}

    # ── pushes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pushed(
        self,
        wallets: Sequence[FuturesWallet],
        positions: Sequence[FuturesPosition],
        time: Microseconds,
        changed_at: Microseconds = 0,
    ) -> list[Balance]:
        """Take in an update; the balances that it changes. ``changed_at`` is the time of the change, 0 if not known."""
        self._changed |= {one.a: changed_at for one in wallets}
        changed = {one.a: self._paid(one) for one in wallets}
        for position in positions:
            asset = self._asset_of(position.s, changed)
            change = self._moved(position)
            before = changed.get(asset) or self._wallets.get(asset)
            if before is not None:
                changed[asset] = _Wallet(before.wallet, before.free + change, before.in_orders, before.pooled)
        self._wallets |= {asset: self._capped(asset, one) for asset, one in changed.items()}
        return [self._wallets[asset].balance(self._exchange, asset, time) for asset in changed]

    def _paid(self, wire: FuturesWallet) -> _Wallet:
        before = self._wallets.get(wire.a) or _Wallet(ZERO, sum(self._effects(wire.a), ZERO))
        return _Wallet(wire.wb, before.free + wire.wb - before.wallet, before.in_orders, before.pooled)

    def _moved(self, wire: FuturesPosition) -> Decimal:
        """By how much a position changes what is free."""
        before = self._bound.get((wire.s, wire.ps), Bound())
        after = self._isolated(wire) if wire.mt == "isolated" else self._cross(wire)
        self._bound[wire.s, wire.ps] = after
        return (after.profit - before.profit) - (after.margin - before.margin)

    def _isolated(self, wire: FuturesPosition) -> Bound:
        return Bound(max(wire.iw, ZERO))

    def _cross(self, wire: FuturesPosition) -> Bound:
        return Bound(self._margin(wire.s, wire.pa * wire.ep + wire.up), wire.up)

    def _margin(self, name: str, value: Decimal) -> Decimal:
        return to_scale(abs(value) / self._leverages.get(name, _ONE))

    def _capped(self, asset: str, one: _Wallet) -> _Wallet:
        """At most what there is without any margin: where a margin was not known it can't be given back."""
        most = one.wallet + sum((max(bound.profit, ZERO) for bound in self._of(asset)), ZERO) - one.in_orders
        return _Wallet(one.wallet, min(one.free, most), one.in_orders, one.pooled)

    def _effects(self, asset: str) -> Iterable[Decimal]:
        """By how much each position changes what is free."""
        return (bound.profit - bound.margin for bound in self._of(asset))

    def _of(self, asset: str) -> Iterable[Bound]:
        return (bound for (name, _), bound in self._bound.items() if self._settles.get(name, asset) == asset)

    def _asset_of(self, name: str, changed: Iterable[str]) -> str:
        """Where it is settled: of an account in credits, or of an unlisted symbol, that is what its update changes."""
        settle = self._settles.get(name, "")
        in_credits = _CREDITS in self._wallets or _CREDITS in changed
        if settle in self._wallets or settle in changed or (settle and not in_credits):
            return settle
        return next(iter(changed), settle)


def _read(one: Asset, pooled: bool) -> _Wallet:
    free = one.own if one.availableBalance is None else one.availableBalance
    pooled = pooled and one.marginAvailable
    return _Wallet(one.walletBalance, min(one.own, free) if pooled else free, one.openOrderInitialMargin, pooled)

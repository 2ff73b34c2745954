"""The figures of a USDⓈ-M account: balances and positions, from pushes and from complete answers.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures, "Account Information V3", "Position
Information V3" and "Event: Balance and Position Update".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Balance, ExchangeStatus, Microseconds, Position, to_scale
from neuroflux.exchanges.binance.messages import AccountUpdate, FuturesPosition, FuturesWallet, Time, microseconds
from neuroflux.exchanges.binance.orders import ZERO, Symbols
from neuroflux.exchanges.binance.usdm_modes import Flags, Modes
from neuroflux.exchanges.binance.usdm_pushed import PushedPosition, PushedPositions
from neuroflux.exchanges.binance.usdm_wallets import Asset, Wallets
from neuroflux.exchanges.kit.omitted import Held
from neuroflux.exchanges.kit.rows import Rows, rows

Event = Balance | Position | ExchangeStatus

_ONE_WAY: Final = "BOTH"


class Risk(Struct, frozen=True):
    """A position of an answer. ``positionRisk`` has an entry price; the account has a ``notional`` instead."""

    symbol: str
    positionAmt: Decimal
    positionSide: str = _ONE_WAY
    entryPrice: Decimal | None = None
    unRealizedProfit: Decimal | None = None
    unrealizedProfit: Decimal | None = None
    notional: Decimal | None = None
    positionInitialMargin: Decimal | None = None
    initialMargin: Decimal | None = None
    leverage: Decimal | None = None
    updateTime: Time = 0

    @property
    def profit(self) -> Decimal:
        return self.unRealizedProfit if self.unRealizedProfit is not None else self.unrealizedProfit or ZERO

    @property
    def margin(self) -> Decimal | None:
        return self.positionInitialMargin if self.positionInitialMargin is not None else self.initialMargin

    @property
    def entry(self) -> Decimal | None:
        """As reported, or what value and profit make of it; None where neither is."""
        if self.entryPrice is not None or not self.positionAmt:
            return self.entryPrice or ZERO
        return None if self.notional is None else to_scale((self.notional - self.profit) / self.positionAmt)

    @property
    def value(self) -> Decimal:
        """At the mark price, negative when short."""
        return self.notional if self.notional is not None else self.positionAmt * (self.entry or ZERO) + self.profit


class _Account(Struct, frozen=True):
    assets: list[Raw]
    positions: list[Raw] | None = None
    multiAssetsMargin: bool | None = None
    canTrade: bool | None = None


class _Funds(Struct, frozen=True):
    """A row of ``balance``."""

    asset: str
    balance: Decimal
    availableBalance: Decimal | None = None


class _Config(Struct, frozen=True):
    """A row of ``symbolConfig``."""

    symbol: str
    leverage: Decimal


_ACCOUNT: Final = Decoder(_Account)
_ASSET: Final = Decoder(Asset)
_RISK: Final = Decoder(Risk)
_FUNDS: Final = Decoder(_Funds)
_CONFIG: Final = Decoder(_Config)
_WALLET: Final = Decoder(FuturesWallet)
_POSITION: Final = Decoder(FuturesPosition)


class Figures:
    """``asked`` is the time of a request by the exchange's clock (0: not known); ``received`` that of its answer."""

    def __init__(self, exchange: str, symbols: Symbols, settles: Mapping[str, str], modes: Modes) -> None:
        self._exchange, self._symbols, self._modes = exchange, symbols, modes
        self._wallets = Wallets(exchange, settles)
        self._assets, self._positions = Held(), Held()
        self._pushed = PushedPositions()

    def leverage(self, name: str, leverage: int) -> None:
        self._wallets.leverage(name, Decimal(leverage))

    # ── pushes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pushed(self, wire: AccountUpdate) -> Sequence[Event]:
        time = microseconds(wire.E)
        wallets, positions = Rows(wire.a.B, _WALLET.decode), Rows(wire.a.P, _POSITION.decode)
        balances = self._wallets.pushed(wallets.good, positions.good, time, microseconds(wire.T))
        for one in balances:
            self._assets.reported(one.asset, one.total != 0, time)
        by_side = self._by_side((one.s, one.ps, one.pa) for one in positions.good)
        whole = [one for one in positions.good if one.ps == _ONE_WAY and one.s not in by_side]
        moved = [self._position(one.s, one.pa, one.ep, one.up, time, time) for one in whole]
        for row in whole:
            self._pushed.take(row.s, PushedPosition(row.pa, row.ep, row.up, microseconds(wire.T)))
        faults = [
            *wallets.statuses(self._exchange, "wallet", time),
            *positions.statuses(self._exchange, "position", time),
        ]
        return [*balances, *moved, *self._hedged(by_side, time), *faults]

    def _by_side(self, rows: Iterable[tuple[str, str, Decimal]]) -> Collection[str]:
        """The names whose positions are by side, of rows of name, side and quantity.

        A one-way account that was in hedge mode before has empty rows by side, beside the position that it has:
        https://www.binance.com/en/support/faq/930bf9127f45403182c178e9a174e6fa
        """
        return {name for name, side, quantity in rows if side != _ONE_WAY and (quantity or self._modes.is_hedged)}

    def _position(
        self, name: str, quantity: Decimal, entry: Decimal, profit: Decimal, time: Microseconds, pushed: Microseconds
    ) -> Position:
        self._positions.reported(name, quantity != 0, pushed)
        return Position(self._exchange, self._symbols.get(name, name), quantity, entry, profit, time)

    def _hedged(self, names: Collection[str], time: Microseconds) -> Sequence[ExchangeStatus]:
        return [self._modes.hedged(name, time) for name in sorted(names)[:1]]

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def account(self, body: bytes, asked: Microseconds, received: Microseconds) -> Sequence[Event]:
        """The whole account. Raises ``UNREADABLE``.

        Wallets and margins are of one moment: after a later push none of them is used, and the figures that follow from
        the pushes are kept until the next answer.
        """
        wire = _ACCOUNT.decode(body)
        mode = self._modes.take(Flags(None, wire.multiAssetsMargin, wire.canTrade), received)
        assets, risks = Rows(wire.assets, _ASSET.decode), Rows(wire.positions or [], _RISK.decode)
        if self._is_overtaken(assets.good, risks.good if wire.positions is not None else None, asked):
            balances = self._wallets.again(assets.good, received)
        else:
            balances = self._wallets.answered(assets.good, self._modes.is_multi, received)
        positions = () if wire.positions is None else self._risks(risks, asked, received)
        gone = self._no_more(assets, [one.asset for one in assets.good], balances, asked, received)
        return [
            *balances,
            *gone,
            *assets.statuses(self._exchange, "asset", received),
            *positions,
            *(one for one in mode if one.value),
        ]

    def _is_overtaken(self, assets: Sequence[Asset], risks: Sequence[Risk] | None, asked: Microseconds) -> bool:
        if self._wallets.overtakes(assets, asked):
            return True
        whole = {one.symbol: (one.positionAmt, microseconds(one.updateTime)) for one in risks or ()}
        return risks is not None and self._pushed.overtakes(whole, asked)

    def funds(self, body: bytes, asked: Microseconds, received: Microseconds) -> Sequence[Event]:
        """All wallets (``balance``). Raises ``UNREADABLE``."""
        found = rows(body, _FUNDS.decode)
        balances = [self._fund(one, received) for one in found.good]
        gone = self._no_more(found, [one.asset for one in found.good], balances, asked, received)
        return [*balances, *gone, *found.statuses(self._exchange, "balance", received)]

    def _fund(self, one: _Funds, received: Microseconds) -> Balance:
        if one.availableBalance is not None:
            return self._wallets.available(one.asset, one.balance, one.availableBalance, received)
        return self._wallets.pushed([FuturesWallet(one.asset, one.balance)], [], received)[0]

    def _no_more(
        self,
        found: Rows[Asset] | Rows[_Funds],
        named: Iterable[str],
        balances: Sequence[Balance],
        asked: Microseconds,
        received: Microseconds,
    ) -> Sequence[Balance]:
        """The assets that a complete answer left out."""
        for one in balances:
            self._assets.reported(one.asset, one.total != 0)
        gone = self._assets.omitted({*named, *found.bad_names}, asked) if found.is_whole else ()
        for asset in gone:
            self._wallets.forget(asset)
        return [Balance(self._exchange, asset, ZERO, ZERO, ZERO, ZERO, received) for asset in gone]

    def risks(self, body: bytes, is_complete: bool, asked: Microseconds, received: Microseconds) -> Sequence[Event]:
        """Positions (``positionRisk``), all of them where ``is_complete``. Raises ``UNREADABLE``."""
        return self._risks(rows(body, _RISK.decode), asked, received, is_complete)

    def _risks(
        self, found: Rows[Risk], asked: Microseconds, received: Microseconds, is_complete: bool = True
    ) -> Sequence[Event]:
        by_side = self._by_side((one.symbol, one.positionSide, one.positionAmt) for one in found.good)
        whole = [one for one in found.good if one.positionSide == _ONE_WAY and one.symbol not in by_side]
        newer = {one.symbol: pushed for one in whole if (pushed := self._newer(one, asked))}
        self._bind([one for one in found.good if one.symbol not in newer])
        positions = [self._risk(one, received) for one in whole if one.symbol not in newer]
        positions += [self._again(name, one, received) for name, one in newer.items()]
        named = {*(one.symbol for one in whole), *by_side, *found.bad_names}
        gone = self._positions.omitted(named, asked) if is_complete and found.is_whole else ()
        for name in gone:
            self._wallets.holds_none(name)
        none = [self._position(name, ZERO, ZERO, ZERO, received, 0) for name in gone]
        faults = found.statuses(self._exchange, "position", received)
        return [*(one for one in positions if one is not None), *none, *self._hedged(by_side, received), *faults]

    def _bind(self, found: Sequence[Risk]) -> None:
        """An answer that names an instrument has all rows of it."""
        for name in {one.symbol for one in found}:
            self._wallets.holds_none(name)
        for one in found:
            if one.leverage is not None:
                self._wallets.leverage(one.symbol, one.leverage)
            if one.positionAmt or one.value:
                self._wallets.holds(one.symbol, one.positionSide, one.value, one.margin, one.profit)

    def _risk(self, one: Risk, received: Microseconds) -> Position | None:
        """None where the entry price is unknown: ``positionRisk`` is requested with the account."""
        entry = one.entry
        if entry is None:
            self._positions.reported(one.symbol, is_held=True)
            return None
        return self._position(one.symbol, one.positionAmt, entry, one.profit, received, 0)

    def _newer(self, one: Risk, asked: Microseconds) -> PushedPosition | None:
        return self._pushed.newer(one.symbol, one.positionAmt, microseconds(one.updateTime), asked)

    def _again(self, name: str, one: PushedPosition, received: Microseconds) -> Position:
        """Reported again, since a position that an answer has must be among what is read of it."""
        return self._position(name, one.quantity, one.entry, one.profit, received, one.changed)

    def leverages(self, body: bytes, received: Microseconds) -> Sequence[Event]:
        """The settings of symbols (``symbolConfig``). Raises ``UNREADABLE``."""
        found = rows(body, _CONFIG.decode)
        for one in found.good:
            self._wallets.leverage(one.symbol, one.leverage)
        return found.statuses(self._exchange, "symbolConfig", received)

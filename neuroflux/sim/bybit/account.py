"""Bybit's account: wallet and positions.

Source: https://bybit-exchange.github.io/docs/v5/account/wallet-balance and …/v5/position
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from neuroflux.sim.bybit.modes import require_unified
from neuroflux.sim.bybit.names import CATEGORIES, Names
from neuroflux.sim.bybit.rows import LEGS
from neuroflux.sim.bybit.venue import BYBIT, name_of
from neuroflux.sim.bybit.wire import ApiError, Json, Params, bad, choice, integer_of, plain, text_of
from neuroflux.sim.core.accounts import ZERO, Leg, Position, key_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.pages import rows_of_a_page

_MAINTENANCE = Decimal("0.005")
_BORROWED = ("borrowAmount", "spotBorrow", "accruedInterest", "bonus", "spotHedgingQty")
_NOTHING_BORROWED: Json = dict.fromkeys(_BORROWED, "0") | {"availableToWithdraw": "", "availableToBorrow": ""}
_NOTHING_BORROWED |= {"marginCollateral": True, "collateralSwitch": True}
_EMPTY = ("liqPrice", "bustPrice", "takeProfit", "stopLoss", "sessionAvgPrice")
_CROSS: Json = dict.fromkeys((*_EMPTY, "mmrSysUpdatedTime", "leverageSysUpdatedTime"), "")
_CROSS |= {"tradeMode": 0, "autoAddMargin": 0, "positionStatus": "Normal", "isReduceOnly": False}
_CROSS |= {"positionBalance": "0", "trailingStop": "0", "tpslMode": "Full", "riskId": 1, "riskLimitValue": "2000000"}
"""What every position with cross margin has."""


class Account:
    """Answers for the one account of the exchange."""

    def __init__(self, simulation: Simulation, names: Names, texts: BookTexts) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(BYBIT)
        self._spot, self._ledger = self._exchange.spot, self._exchange.perpetual
        self._names, self._texts = names, texts

    # ── wallet ───────────────────────────────────────────────────────────────────────────────────────────────────

    def wallet(self, params: Params, now: int) -> Json:
        """Coins of which there is nothing are left out, unless they are named."""
        require_unified(self._simulation)
        choice(params, "accountType", ("UNIFIED",), ApiError(10001, "accountType only support UNIFIED."))
        named = [one for one in text_of(params, "coin").split(",") if one]
        held = [asset for asset, balance in self._spot.balances.items() if balance.total or self._ledger.used(asset)]
        return {"list": [self.totals(named or held)]}

    def totals(self, assets: Iterable[str]) -> Json:
        """The account in USD, with these coins."""
        balances = {asset: one.total for asset, one in self._spot.balances.items()}
        wallet = sum((total * self._dollars(asset) for asset, total in balances.items()), ZERO)
        profit, used = (self._sum(of) for of in (self._ledger.profit, self._ledger.used))
        initial = used + self._sum(self._ledger.margin_of_orders)
        return {
            "accountType": "UNIFIED",
            "totalEquity": plain(wallet + profit),
            "totalWalletBalance": plain(wallet),
            "totalMarginBalance": plain(wallet + profit),
            "totalAvailableBalance": plain(max(ZERO, wallet + profit - initial)),
            "totalPerpUPL": plain(profit),
            "totalInitialMargin": plain(initial),
            "totalMaintenanceMargin": plain(used * _MAINTENANCE),
            "accountIMRate": plain(initial / wallet, 4) if wallet else "0",
            "accountMMRate": "0",
            "accountLTV": "0",
            "coin": [self._coin(asset) for asset in assets],
        }

    def _sum(self, of: Callable[[str], Decimal]) -> Decimal:
        return sum((of(asset) * self._dollars(asset) for asset in self._spot.balances), ZERO)

    def _dollars(self, asset: str) -> Decimal:
        """A price for the totals alone: 1 for what is not traded against USDT."""
        listing = self._names.find("spot", f"{asset}USDT")
        return self._exchange.perpetual.mark(listing.symbol) if listing else Decimal(1)

    def _coin(self, asset: str) -> Json:
        balance, ledger = self._spot.balances.get(asset), self._ledger
        total, locked = (balance.total, balance.locked) if balance else (ZERO, ZERO)
        profit = ledger.profit(asset)
        realised = (one.realised for key, one in ledger.positions.items() if ledger.listings[key].quote == asset)
        return {
            "coin": asset,
            "equity": plain(total + profit),
            "usdValue": plain((total + profit) * self._dollars(asset)),
            "walletBalance": plain(total),
            "locked": plain(locked),
            "totalOrderIM": plain(ledger.margin_of_orders(asset)),
            "totalPositionIM": plain(ledger.used(asset)),
            "totalPositionMM": plain(ledger.used(asset) * _MAINTENANCE),
            "unrealisedPnl": plain(profit),
            "cumRealisedPnl": plain(sum(realised, ZERO)),
            **_NOTHING_BORROWED,
        }

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────

    def positions(self, params: Params, now: int) -> Json:
        """What is held; a symbol that is named also where nothing is."""
        require_unified(self._simulation)
        category = choice(params, "category", (*CATEGORIES, "inverse", "option"))
        symbol, coin = text_of(params, "symbol"), text_of(params, "settleCoin")
        if category == "linear" and not symbol and not coin:
            raise ApiError(10001, "Missing some parameters that must be filled in, symbol or settleCoin")
        held = [one for one, _ in self._ledger.held() if one.quote == (coin or one.quote)]
        if symbol and category == "linear":
            listing = self._names.find("linear", symbol)
            if listing is None:
                raise bad("symbol")
            held = [listing]
        rows = [row for one in dict.fromkeys(held) for row in self.of_symbol(one, is_named=bool(symbol))]
        limit = integer_of(params, "limit", 20)
        if not 1 <= limit <= 200:
            raise bad("limit")
        limit, first = rows_of_a_page(self._simulation.faults, BYBIT, limit), integer_of(params, "cursor", 0)
        following = str(first + limit) if first + limit < len(rows) else ""
        found = rows[first : first + limit] if category == "linear" else []
        return {"list": found, "nextPageCursor": following, "category": category}

    def of_symbol(self, listing: Listing, *, is_named: bool = True, price: str = "avgPrice") -> list[Json]:
        """One row, or in hedge mode one for each direction; ``price`` is how the entry price is called here."""
        legs: tuple[Leg, ...] = ("LONG", "SHORT") if self._ledger.is_hedged else ("",)
        found = [(leg, self._ledger.position(listing, leg)) for leg in legs]
        return [self._position(listing, leg, one, price) for leg, one in found if is_named or one.quantity]

    def _position(self, listing: Listing, leg: Leg, held: Position, price: str) -> Json:
        numbers, quantity, key = self._texts.numbers[listing.symbol], held.quantity, key_of(listing, leg)
        margin = self._ledger.margin(key)
        return {
            **_CROSS,
            "positionIdx": LEGS[leg],
            "symbol": name_of(listing),
            "side": "Buy" if quantity > 0 else "Sell" if quantity < 0 else "",
            "size": numbers.quantity_text(abs(quantity)) if quantity else "0",
            price: plain(held.entry_price, 10),
            "positionValue": plain(abs(quantity) * held.entry_price) if quantity else "",
            "adlRankIndicator": 2 if quantity else 0,
            "leverage": str(self._ledger.leverage_of(listing)),
            "markPrice": numbers.price_text(self._ledger.mark(listing.symbol)),
            "positionIM": plain(margin),
            "positionMM": plain(margin * _MAINTENANCE),
            "unrealisedPnl": plain(self._ledger.unrealised(key)) if quantity else "",
            "curRealisedPnl": plain(held.realised),
            "cumRealisedPnl": plain(held.realised),
            "seq": held.updated or -1,
            "createdTime": str(held.updated // 1000),
            "updatedTime": str(held.updated // 1000),
        }

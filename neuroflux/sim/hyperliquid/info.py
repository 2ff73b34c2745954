"""Hyperliquid's ``POST /info``: the state of the exchange and of an account, by the requested type."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from neuroflux.errors import Refused
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.malformed_rows import spoiled
from neuroflux.sim.core.orders import Order, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.hyperliquid import account, ledger
from neuroflux.sim.hyperliquid.account import Json, number
from neuroflux.sim.hyperliquid.limits import AddressLimit
from neuroflux.sim.kit.numbers import decimals as places
from neuroflux.sim.kit.pages import rows_of_a_page

DEPTH = 20
UNKNOWN_STATUS = "reviewPending"
ROWS, REACH = 2000, 10_000
"""Fills of one answer, and how many of the newest can be had at all."""
LIGHT = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
"""Kinds that weigh 2; the others weigh 20."""
_DOLLAR_DECIMALS = 8
_DELISTED = {"name": "", "szDecimals": 0, "maxLeverage": 1, "marginTableId": 50, "isDelisted": True}
_NO_CONTEXT = dict.fromkeys(
    ("prevDayPx", "dayNtlVlm", "markPx", "dayBaseVlm", "funding", "openInterest", "oraclePx"), "0.0"
)


class UnknownInfo(Refused):
    """No such type, or one without what it needs: HTTP 422."""


def weight_of_info(asked: Json) -> int:
    return 2 if asked.get("type") in LIGHT else 20


class Info:
    """Answers for one simulation; ``user`` is the account's address in lower case."""

    def __init__(self, simulation: Simulation, user: str, limit: AddressLimit) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange("hyperliquid")
        self._user = user
        self._answers: dict[str, Callable[[Json], Any]] = {
            "meta": lambda _: self.meta(),
            "spotMeta": lambda _: self.spot_meta(),
            "metaAndAssetCtxs": lambda _: [
                self.meta(),
                [self.context(one) if one else _NO_CONTEXT for one in self.universe()],
            ],
            "spotMetaAndAssetCtxs": lambda _: [self.spot_meta(), [self.context(one) for one in self.listed("spot")]],
            "allMids": lambda _: self.mids(),
            "exchangeStatus": lambda _: {"time": self.now() // 1000, "specialStatuses": None},
            "perpDexs": lambda _: [None],
            "l2Book": lambda asked: self.book(self.listing(asked)),
            "predictedFundings": lambda _: [],
            "userAbstraction": lambda asked: (self._ours(asked) and self.abstraction()) or "default",
            "userRole": lambda asked: {"role": "user" if self._ours(asked) else "missing"},
            "userFees": lambda _: self.fees(),
            "userRateLimit": lambda _: limit.usage(),
            "clearinghouseState": self.clearinghouse,
            "spotClearinghouseState": self.spot_state,
            "openOrders": lambda asked: self.orders(asked, account.basic_order),
            "frontendOpenOrders": lambda asked: self.orders(asked, account.frontend_order),
            "orderStatus": self.order_status,
            "historicalOrders": self.history,
            "userFills": lambda asked: account.fills(self._exchange, user)[: self.rows()] if self._ours(asked) else [],
            "userFillsByTime": self.fills_by_time,
            "userFunding": lambda asked: self.since(asked, ledger.funding(self._exchange)),
            "userNonFundingLedgerUpdates": lambda asked: self.since(asked, self.ledger(user)),
            "extraAgents": lambda _: [],
            "maxBuilderFee": lambda _: 100,
        }

    def answer(self, asked: Json) -> Any:
        """The answer, subject to the fault ``malformed_row``; raises UnknownInfo."""
        return spoiled(self.whole(asked), self._simulation.faults, "hyperliquid", str(asked.get("type")))

    def whole(self, asked: Json) -> Any:
        """Raises UnknownInfo."""
        kind = asked.get("type")
        if not isinstance(kind, str) or kind not in self._answers:
            raise UnknownInfo(f"unknown type {kind!r}")
        return self._answers[kind](asked)

    # ── markets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> int:
        return self._simulation.now("hyperliquid")

    def listed(self, kind: str) -> list[Listing]:
        return [one for one in self._exchange.listings.values() if one.kind == kind]

    def listing(self, asked: Json) -> Listing:
        listing = self._exchange.listings.get(str(asked.get("coin")))
        if listing is None:
            raise UnknownInfo(f"unknown coin {asked.get('coin')!r}")
        return listing

    def universe(self) -> list[Listing | None]:
        """The perpetuals at the place that is their asset id; where none is listed there was one."""
        by_number = {one.number: one for one in self.listed("perpetual")}
        return [by_number.get(number) for number in range(max(by_number, default=-1) + 1)]

    def meta(self) -> Json:
        universe = [
            self._perpetual(one) if one else {**_DELISTED, "name": f"GONE{at}"}
            for at, one in enumerate(self.universe())
        ]
        table = {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 50}]}
        return {"universe": universe, "marginTables": [[50, table]], "collateralToken": 0}

    def _perpetual(self, listing: Listing) -> Json:
        leverage = {"maxLeverage": listing.max_leverage, "marginTableId": 50}
        gone = {"isDelisted": True} if listing.symbol in self._exchange.halted else {}
        return {"name": listing.symbol, "szDecimals": places(listing.lot), **leverage, **gone}

    def spot_meta(self) -> Json:
        numbers = account.tokens(self._exchange)
        decimals = {one.base_asset: places(one.lot) for one in self.listed("spot")}
        tokens = [
            {
                "name": name,
                "szDecimals": decimals.get(name, _DOLLAR_DECIMALS),
                "weiDecimals": 8,
                "index": index,
                "tokenId": f"0x{index:032x}",
                "isCanonical": index < 2,
                "evmContract": None,
                "fullName": None,
                "deployerTradingFeeShare": "0.0",
            }
            for name, index in numbers.items()
        ]
        universe = [
            {
                "tokens": [numbers[one.base_asset], numbers[one.quote]],
                "name": one.symbol,
                "index": one.number - 10_000,
                "isCanonical": "/" in one.symbol,
            }
            for one in self.listed("spot")
        ]
        return {"tokens": tokens, "universe": universe}

    def context(self, listing: Listing) -> Json:
        """The content of ``activeAssetCtx`` for one coin."""
        world = self._simulation.world
        tape = world.tapes["hyperliquid", listing.symbol]
        body: Json = {
            "prevDayPx": number(tape.open * listing.tick),
            "dayNtlVlm": number(tape.value * listing.unit),
            "markPx": self._text(listing, world.mark(listing)),
            "midPx": self.mid(listing),
            "dayBaseVlm": number(tape.volume * listing.lot),
        }
        if listing.kind == "spot":
            return {**body, "circulatingSupply": "1000000.0", "totalSupply": "1000000.0", "coin": listing.symbol}
        oracle = self._text(listing, Decimal(str(world.index(listing))))
        funding = f"{world.funding_rate(listing):f}"
        impact = [one for one in (self.mid(listing), self.mid(listing)) if one]
        more = {"funding": funding, "openInterest": "1000.0", "premium": "0.0", "oraclePx": oracle, "impactPxs": impact}
        return {**body, **more}

    def _text(self, listing: Listing, price: Decimal) -> str:
        return number(price.quantize(listing.tick))

    def mid(self, listing: Listing) -> str | None:
        bid, ask = self._exchange.top(listing.symbol)
        return number((bid + ask) / 2) if bid and ask else None

    def mids(self) -> dict[str, str]:
        return {one.symbol: mid for one in self._exchange.listings.values() if (mid := self.mid(one))}

    def book(self, listing: Listing, depth: int = DEPTH) -> Json:
        book = self._exchange.books[listing.symbol]
        sides = [
            [
                {
                    "px": number(price * listing.tick),
                    "sz": number(lots * listing.lot),
                    "n": max(1, half.orders_at(price)),
                }
                for price, lots in half.levels(depth)
            ]
            for half in (book.bids, book.asks)
        ]
        return {"coin": listing.symbol, "time": self.now() // 1000, "levels": sides}

    # ── the account ──────────────────────────────────────────────────────────────────────────────────────────────

    def _ours(self, asked: Json) -> bool:
        """Any other address, an agent's too, has nothing."""
        return str(asked.get("user", "")).lower() == self._user

    def clearinghouse(self, asked: Json) -> Json:
        if self._ours(asked):
            return account.clearinghouse(self._exchange, self.now(), is_unified=self.abstraction() != "")
        nothing = dict.fromkeys(("accountValue", "totalNtlPos", "totalRawUsd", "totalMarginUsed"), "0.0")
        summaries = {"marginSummary": nothing, "crossMarginSummary": nothing, "crossMaintenanceMarginUsed": "0.0"}
        return {**summaries, "withdrawable": "0.0", "assetPositions": [], "time": self.now() // 1000}

    def spot_state(self, asked: Json) -> Json:
        return account.spot_state(self._exchange, self.abstraction()) if self._ours(asked) else {"balances": []}

    def orders(self, asked: Json, written: Callable[[Any], Json]) -> list[Json]:
        return [written(order) for order in self._exchange.open_orders.values()] if self._ours(asked) else []

    def order_status(self, asked: Json) -> Json:
        """``oid`` is the exchange's number, or the client's id in hex."""
        oid = asked.get("oid")
        try:
            if not self._ours(asked) or self._simulation.faults.take("hyperliquid", "order_unknown"):
                return {"status": "unknownOid"}
            order = self._exchange.find(oid if isinstance(oid, int) else None, oid if isinstance(oid, str) else "")
        except Rejected:
            return {"status": "unknownOid"}
        status = {"status": self.status(order), "statusTimestamp": order.updated // 1000}
        return {"status": "order", "order": {"order": account.frontend_order(order), **status}}

    def status(self, order: Order) -> str:
        return self._simulation.status(order, account.status_of(order), UNKNOWN_STATUS)

    def history(self, asked: Json) -> list[Json]:
        orders = list(reversed(self._exchange.orders.values()))[: self.rows()] if self._ours(asked) else ()
        return [
            {
                "order": account.frontend_order(order),
                "status": self.status(order),
                "statusTimestamp": order.updated // 1000,
            }
            for order in orders
        ]

    def fills_by_time(self, asked: Json) -> list[Json]:
        start, end = int(asked.get("startTime", 0)), int(asked.get("endTime") or 1 << 60)
        if not self._ours(asked):
            return []
        known = account.fills(self._exchange, self._user, start * 1000)[:REACH]
        return [one for one in reversed(known) if one["time"] <= end][: self.rows()]

    def ledger(self, user: str) -> list[Json]:
        """Deposits and withdrawals, the oldest first."""
        return ledger.updates(self._exchange, user) if user == self._user else []

    def since(self, asked: Json, rows: list[Json]) -> list[Json]:
        """A page of the account's ledger, the oldest rows first."""
        start, end = int(asked.get("startTime") or 0), int(asked.get("endTime") or 1 << 60)
        found = [one for one in rows if start <= one["time"] <= end] if self._ours(asked) else []
        return found[: min(self.rows(), ledger.ROWS)]

    def rows(self) -> int:
        """The rows that an answer has at most."""
        return rows_of_a_page(self._simulation.faults, "hyperliquid", ROWS)

    def abstraction(self) -> str:
        """How the account pools its collateral: "" where it does not."""
        fault = self._simulation.faults.setting("hyperliquid", "unified_account")
        return (fault.value or "unifiedAccount") if fault else ""

    def fees(self) -> Json:
        """The account's rates; spot and perpetuals have their own."""
        rates = {kind: self._exchange.fees.rates(self.listed(kind)[0]) for kind in ("perpetual", "spot")}
        names = {"userCrossRate": rates["perpetual"].taker, "userAddRate": rates["perpetual"].maker}
        names |= {"userSpotCrossRate": rates["spot"].taker, "userSpotAddRate": rates["spot"].maker}
        return {"dailyUserVlm": [], **{name: f"{rate:f}" for name, rate in names.items()}}

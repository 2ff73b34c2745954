"""Hyperliquid's ``POST /exchange``: signed actions are checked, carried out and answered."""

from __future__ import annotations

import re
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import Ask, Order, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.hyperliquid.account import Json, cloid_of, number
from neuroflux.sim.hyperliquid.limits import AddressLimit
from neuroflux.sim.hyperliquid.signing import signers

DAY_MS = 24 * 3600 * 1000
NONCES = 100
_CLOID = re.compile(r"0x[0-9a-fA-F]{32}")
_TIFS: dict[str, TimeInForce] = {"Gtc": "GTC", "Ioc": "IOC", "Alo": "POST", "FrontendMarket": "IOC"}
_SIGNIFICANT_FIGURES = 5
_GONE = "Order was never placed, already canceled, or filled."
_TEXTS = {
    Reason.PRICE_STEP: "Price must be divisible by tick size.",
    Reason.QUANTITY_STEP: "Order has invalid size.",
    Reason.QUANTITY_LIMIT: "Order has zero size.",
    Reason.NOTIONAL: "Order must have minimum value of $10.",
    Reason.BALANCE: "Insufficient spot balance",
    Reason.MARGIN: "Insufficient margin to place order.",
    Reason.DUPLICATE: "Order has invalid client order id: duplicate.",
    Reason.WOULD_MATCH: "Post only order would have immediately matched, bbo was {bid}@{ask}.",
    Reason.REDUCE_ONLY: "Reduce only order would increase position.",
    Reason.UNKNOWN_ORDER: _GONE,
    Reason.FAULT: "Insufficient margin to place order.",
    Reason.HALTED: "Trading is halted.",
    Reason.UNKNOWN_CODE: "A rule that came into force today was violated.",
}


class ActionError(ValueError):
    """The whole action is refused: ``{"status": "err"}``."""


class Actions:
    """Carries actions out for one account. ``may_sign`` are the addresses of the account and of its agent."""

    def __init__(self, simulation: Simulation, may_sign: set[str], limit: AddressLimit) -> None:
        self._limit = limit
        self._simulation = simulation
        self._exchange: SimExchange = simulation.exchange("hyperliquid")
        self._may_sign = may_sign
        self._nonces: defaultdict[str, list[int]] = defaultdict(list)
        self._by_number = {one.number: one for one in self._exchange.listings.values()}
        self._exchange.on_list.append(lambda listing: self._by_number.update({listing.number: listing}))
        self._do: dict[str, Callable[[Json], Json]] = {
            "order": self._orders,
            "cancel": self._cancels,
            "cancelByCloid": self._cancels_by_cloid,
            "modify": lambda action: self._modifies({"modifies": [action]}, "default"),
            "batchModify": lambda action: self._modifies(action, "order"),
            "updateLeverage": self._leverage,
            "approveBuilderFee": lambda _: {"type": "default"},
            "noop": lambda _: {"type": "default"},
            "setReferrer": lambda _: {"type": "default"},
        }

    def carry_out(self, body: Json) -> Json:
        """The answer to an action, also to one that is refused."""
        try:
            self._check(body)
            return {"status": "ok", "response": self._do[body["action"]["type"]](body["action"])}
        except ActionError as error:
            return {"status": "err", "response": str(error)}
        except (KeyError, TypeError, IndexError, AttributeError, InvalidOperation) as error:
            return {"status": "err", "response": f"Failed to deserialize the JSON body into the target type: {error!r}"}

    # ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, body: Json) -> None:
        if body["action"].get("type") not in self._do:
            raise ActionError(f"unknown action {body['action'].get('type')!r}")
        try:
            signed_by = signers(body)
        except (ValueError, OverflowError) as error:
            raise ActionError(f"Invalid signature: {error}") from error
        signer = min(signed_by & self._may_sign, default="")
        if not signer:
            raise ActionError(f"User or API Wallet {min(signed_by)} does not exist.")
        if body.get("vaultAddress"):
            raise ActionError("Vault not registered.")
        self._check_time(self._nonces[signer], int(body["nonce"]), body.get("expiresAfter"))

    def _check_time(self, used: list[int], nonce: int, expires: int | None) -> None:
        """A signer's nonces are unique, above the smallest of the hundred highest, and near to now.

        Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets
        """
        now = self._simulation.now("hyperliquid") // 1000
        if not now - 2 * DAY_MS < nonce < now + DAY_MS:
            raise ActionError(f"Invalid nonce: {nonce}")
        if nonce in used or (len(used) == NONCES and nonce < used[0]):
            raise ActionError(f"Invalid nonce: duplicate nonce {nonce}")
        insort(used, nonce)
        del used[:-NONCES]
        if expires is not None and now > int(expires):
            raise ActionError("Action already expired")

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _orders(self, action: Json) -> Json:
        return _statuses("order", [self._place(wire) for wire in action["orders"]])

    def _place(self, wire: Json) -> Json:
        listing = self._by_number.get(wire["a"])
        if listing is None:
            return {"error": f"Unknown asset {wire['a']}"}
        if "limit" not in wire["t"]:
            return {"error": "Trigger orders are not offered here."}
        if refusal := self._limit.refusal(self._simulation.now("hyperliquid")):
            return {"error": refusal}
        try:
            order = self._exchange.place(self._ask(listing, wire), self._simulation.now("hyperliquid"))
        except Rejected as error:
            return {"error": self._text(error.reason, listing)}
        return _placed(order, listing)

    def _ask(self, listing: Listing, wire: Json) -> Ask:
        """Prices have at most five significant figures, unless they are whole."""
        price, cloid = Decimal(wire["p"]), wire.get("c") or ""
        if price != price.to_integral_value() and len(price.normalize().as_tuple().digits) > _SIGNIFICANT_FIGURES:
            raise Rejected(Reason.PRICE_STEP)
        if cloid and not _CLOID.fullmatch(cloid):
            raise ActionError(f"Invalid cloid {cloid}")
        tif = _TIFS.get(wire["t"]["limit"]["tif"])
        if tif is None:
            raise ActionError(f"Invalid tif {wire['t']['limit']['tif']}")
        side: Side = "buy" if wire["b"] else "sell"
        quantity = Decimal(wire["s"])
        return Ask(listing.symbol, side, quantity, price, tif, cloid, reduce_only=bool(wire["r"]))

    def _text(self, reason: Reason, listing: Listing) -> str:
        bid, ask = self._exchange.top(listing.symbol)
        return f"{_TEXTS[reason].format(bid=number(bid), ask=number(ask))} asset={listing.number}"

    def _cancels(self, action: Json) -> Json:
        return _statuses("cancel", [self._cancel(wire["a"], int(wire["o"]), "") for wire in action["cancels"]])

    def _cancels_by_cloid(self, action: Json) -> Json:
        return _statuses("cancel", [self._cancel(wire["asset"], None, wire["cloid"]) for wire in action["cancels"]])

    def _cancel(self, asset: int, oid: int | None, cloid: str) -> Any:
        listing = self._by_number.get(asset)
        if refusal := self._limit.cancel_refusal(self._simulation.now("hyperliquid")):
            return {"error": refusal}
        try:
            order = self._exchange.find(oid, cloid, listing.symbol if listing else "?")
            self._exchange.cancel(order, self._simulation.now("hyperliquid"))
        except Rejected:
            return {"error": f"{_GONE} asset={asset}"}
        return "success"

    def _modifies(self, action: Json, kind: str) -> Json:
        """Cancel and place anew: the order gets another number."""
        statuses: list[Any] = []
        for wire in action["modifies"]:
            oid = wire["oid"]
            by_number, by_cloid = (oid, "") if isinstance(oid, int) else (None, str(oid))
            outcome = self._cancel(wire["order"]["a"], by_number, by_cloid)
            statuses.append(outcome if outcome != "success" else self._place(wire["order"]))
        return {"type": "default"} if kind == "default" else _statuses("order", statuses)

    def _leverage(self, action: Json) -> Json:
        listing = self._by_number[action["asset"]]
        leverage = int(action["leverage"])
        if not 1 <= leverage <= listing.max_leverage:
            raise ActionError(f"Invalid leverage value. asset={listing.number}")
        self._exchange.perpetual.leverage[listing.symbol] = leverage
        return {"type": "default"}


def _statuses(kind: str, statuses: Sequence[Any]) -> Json:
    return {"type": kind, "data": {"statuses": list(statuses)}}


def _placed(order: Order, listing: Listing) -> Json:
    cloid = {"cloid": cloid_of(order)} if cloid_of(order) else {}
    if order.is_open:
        return {"resting": {"oid": order.order_id, **cloid}}
    if not order.filled:
        text = "Order could not immediately match against any resting orders."
        return {"error": f"{text} asset={listing.number}"}
    average = number(order.average_price.quantize(listing.tick))
    return {"filled": {"totalSz": number(order.filled), "avgPx": average, "oid": order.order_id, **cloid}}

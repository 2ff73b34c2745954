"""Hyperliquid's order client: signed orders and cancels of one account, and what the answers to them mean.

Every answer of the engine is HTTP 200, so the body decides. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from neuroflux.domain import (
    Instrument,
    Microseconds,
    OrderType,
    Outcome,
    Placement,
    Side,
    TimeInForce,
)
from neuroflux.errors import NeuroFluxError, Refused, UsageError
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.hyperliquid.orders import records_of
from neuroflux.exchanges.hyperliquid.outcomes import CANCEL, PLACE_LIMIT, PLACE_MARKET, outcome_of
from neuroflux.exchanges.hyperliquid.rest import (
    account_of,
    checked,
    exchange_request,
    fills_request,
    info_request,
    next_page,
)
from neuroflux.exchanges.hyperliquid.signing import MAINNET, TESTNET, Nonces, Signer, action_hash
from neuroflux.exchanges.hyperliquid.socket import ID
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Page, TableOrderClient
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.shapes import UNREADABLE

_TIFS: Final = {TimeInForce.GTC: "Gtc", TimeInForce.IOC: "Ioc", TimeInForce.POST_ONLY: "Alo"}
_ORDER_LIFE: Final = int(EXCHANGE_TIMEOUTS["order"] * 1000)
"""Milliseconds in which an order must have reached the exchange. Without it a nonce is good for two days, and an order
that was given up for lost could still arrive; with it, one that the exchange does not know by then is never placed."""


ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class _Reply(Struct, frozen=True):
    """``response`` is a sentence where ``status`` is ``err``."""

    status: str
    response: object = ""


class HyperliquidOrderClient(TableOrderClient):
    """Orders for ``keys.key`` (the account's address), signed with ``keys.secret`` (its agent's private key).

    With ``keys.subaccount`` they are that account's, still signed by the agent of its master. ``nonces`` are those of
    this process: a new order client must not begin again with nonces that are used.
    """

    exchange = ID
    client_ids = ClientIds("0x", 34)  # 128 bits, as a ``cloid`` must have
    settled_after = (_ORDER_LIFE + 1_000) * 1_000

    def __init__(self, keys: Keys, instruments: Iterable[Instrument], nonces: Nonces) -> None:
        self._user = account_of(keys)
        self._vault = keys.subaccount.lower() or None
        if self._vault and not ADDRESS.fullmatch(self._vault):
            raise UsageError("a Hyperliquid subaccount must be an address: 0x and 20 bytes in hex")
        self._signer = Signer(keys.secret, TESTNET if keys.testnet else MAINNET)
        self._listed = {one.asset_id: one for one in instruments}
        self._symbols = {one.name: one.symbol for one in self._listed.values()}
        self._nonces = nonces

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """Raises Refused for what Hyperliquid does not offer: fill-or-kill, and a market order without a bound.

        A market order is an immediate-or-cancel one at ``placement.price``, the worst price that is acceptable.
        """
        market = placement.type is OrderType.MARKET
        tif = "Ioc" if market else _TIFS.get(placement.time_in_force)
        if tif is None:
            raise Refused(f"{ID} offers no {placement.time_in_force} orders")
        if placement.price <= 0:
            raise Refused(f"{ID} needs a price that bounds the order")
        order = {
            "a": placement.instrument.asset_id,
            "b": placement.side is Side.BUY,
            "p": wire_number(placement.price),
            "s": wire_number(placement.quantity),
            "r": placement.reduce_only,
            "t": {"limit": {"tif": tif}},
            "c": placement.client_order_id,
        }
        action = {"type": "order", "orders": [order], "grouping": "na"}
        return self._signed(action, now, PLACE_MARKET if market else PLACE_LIMIT, now // 1000 + _ORDER_LIFE)

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        if exchange_order_id:
            named: dict[str, object] = {"a": instrument.asset_id, "o": int(exchange_order_id)}
            return self._signed({"type": "cancel", "cancels": [named]}, now, CANCEL)
        wanted = {"asset": instrument.asset_id, "cloid": client_order_id}
        return self._signed({"type": "cancelByCloid", "cancels": [wanted]}, now, CANCEL)

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        oid = int(exchange_order_id) if exchange_order_id else client_order_id
        return info_request("orderStatus", user=self._user, oid=oid)

    def open_orders(self, now: Microseconds) -> Request:
        return info_request("frontendOpenOrders", user=self._user)

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        """The account's, of every instrument: Hyperliquid has no other query."""
        return fills_request(self._user, since // 1000)

    def probe(self, now: Microseconds) -> Request:
        """No query is signed here, so it is the action that does nothing: it uses up its nonce."""
        return self._signed({"type": "noop"}, now, "noop")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        action = {"type": "updateLeverage", "asset": instrument.asset_id, "isCross": True, "leverage": leverage}
        return self._signed(action, now, "updateLeverage")

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        return checked(answer)

    def refusal(self, answer: Answer) -> str:
        """The status in the body decides: a refused action is HTTP 200."""
        try:
            reply = msgspec.json.decode(checked(answer), type=_Reply)
        except (NeuroFluxError, *UNREADABLE) as error:
            return str(error)
        return "" if reply.status == "ok" else f"{reply.response}"

    def outcome(self, answer: Answer) -> Outcome:
        """By the body alone, which has sentences and no codes; see ``outcome_of``."""
        return outcome_of(answer, self._listed, self._symbols)

    def page(self, answer: Answer) -> Page | None:
        found = records_of(answer.body, self._symbols)
        return Page(found.events, found.faults, next_page(answer, self._user, found.next_start)) if found else None

    def _signed(
        self, action: Mapping[str, Any], now: Microseconds, tag: str, expires_after: int | None = None
    ) -> Request:
        nonce = self._nonces.next(now)
        signature = self._signer.sign(action_hash(action, nonce, self._vault, expires_after))
        body: dict[str, Any] = {"action": action, "nonce": nonce, "signature": signature}
        if self._vault:
            body["vaultAddress"] = self._vault
        if expires_after is not None:
            body["expiresAfter"] = expires_after
        return exchange_request(msgspec.json.encode(body), tag)

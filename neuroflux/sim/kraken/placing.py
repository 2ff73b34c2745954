"""What an order of Kraken asks for: parameters of REST or of the socket, read and checked.

Source: https://docs.kraken.com/api-reference/trading/add-order and
https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/add_order
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

from msgspec import Struct

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import Ask, SelfTrade
from neuroflux.sim.kraken.pairs import Pairs
from neuroflux.sim.kraken.venue import ordermin
from neuroflux.sim.kraken.wire import SECOND, ApiError, Params, amount, flag, invalid, micros_of, required, text, texts

LATEST_DEADLINE = 60 * SECOND
_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}", re.ASCII
)
_USERREF = re.compile(r"-?\d{1,10}", re.ASCII)
_FLAGS: Final = frozenset({"post", "fcib", "fciq", "nompp", "viqc"})
_SELF_TRADES: Final = ("cancel-newest", "cancel-oldest", "cancel-both")
_NOT_SIMULATED: Final = (
    *("stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit", "trailing-stop", "trailing-stop-limit"),
    *("settle-position", "iceberg"),
)
_BY_SOCKET: Final = {
    "symbol": "pair",
    "side": "type",
    "order_type": "ordertype",
    "order_qty": "volume",
    "limit_price": "price",
    "stp_type": "stptype",
    "order_userref": "userref",
    "expire_time": "expiretm",
}
"""What the socket names otherwise."""


class Terms(Struct, frozen=True):
    """What Kraken knows of an order and the core does not: ``end`` in µs, 0 for none."""

    flags: tuple[str, ...] = ("fciq",)
    time_in_force: str = "GTC"
    userref: int | None = None
    end: int = 0


class Wanted(Struct, frozen=True):
    """An order as it was read."""

    listing: Listing
    ask: Ask
    terms: Terms


def from_socket(params: Params) -> Params:
    """The parameters of a socket's order by their names over REST; raises ApiError."""
    for name in ("order_qty", "limit_price", "cash_order_qty"):
        if isinstance(params.get(name), str):
            raise invalid(f"{name} must be a number")
    named = {_BY_SOCKET.get(name, name): value for name, value in params.items()}
    flags = ["post"] if flag(params, "post_only") else []
    flags += {"base": ["fcib"], "quote": ["fciq"]}.get(text(params, "fee_preference"), [])
    if "cash_order_qty" in params:
        flags.append("viqc")
        named["volume"] = params["cash_order_qty"]
    return {**named, "timeinforce": text(params, "time_in_force").upper(), "oflags": flags}


def check_deadline(params: Params, now: int) -> None:
    """Raises ApiError where the time until which the engine may take the request is over, or too far away."""
    if not text(params, "deadline"):
        return
    deadline = micros_of(params["deadline"], "deadline")
    if deadline <= now:
        raise ApiError("EService:Deadline elapsed")
    if deadline > now + LATEST_DEADLINE:
        raise invalid("deadline")


def read(pairs: Pairs, params: Params, now: int) -> Wanted:
    """Raises ApiError."""
    listing = pairs.find(required(params, "pair"))
    side, kind = required(params, "type"), required(params, "ordertype")
    if side not in ("buy", "sell"):
        raise invalid("type")
    if kind not in ("limit", "market"):
        raise invalid("ordertype is not simulated" if kind in _NOT_SIMULATED else "ordertype")
    _check_margin(params)
    flags = _flags(params)
    tif = _time_in_force(params, kind, flags)
    terms = Terms(flags, tif, _userref(params), _end(params, now) if tif == "GTD" else 0)
    return Wanted(listing, _ask(listing, cast(Side, side), kind, terms, params), terms)


def _ask(listing: Listing, side: Side, kind: str, terms: Terms, params: Params) -> Ask:
    volume = amount(params, "volume")
    in_quote = "viqc" in terms.flags
    if in_quote and (kind != "market" or side != "buy"):
        raise invalid("viqc")
    if not in_quote:
        check_volume(listing, volume)
    return Ask(
        listing.symbol,
        side,
        ZERO if in_quote else volume,
        limit_price(params, "price") if kind == "limit" else None,
        _core_time_in_force(terms, kind),
        client_id(params),
        value=volume if in_quote else ZERO,
        fee_in_base="fcib" in terms.flags,
        self_trade=_self_trade(params),
    )


def check_volume(listing: Listing, volume: Decimal) -> None:
    """Raises ApiError."""
    if volume < ordermin(listing):
        raise ApiError("EOrder:Order minimum not met")


def limit_price(params: Params, name: str) -> Decimal:
    """Above 0; raises ApiError. Relative prices (``+1%``) are not simulated."""
    price = amount(params, name)
    if not price:
        raise ApiError("EOrder:Invalid price")
    return price


def _core_time_in_force(terms: Terms, kind: str) -> TimeInForce:
    if "post" in terms.flags:
        return "POST"
    if kind == "market":
        return "IOC"
    by_name: Mapping[str, TimeInForce] = {"IOC": "IOC", "FOK": "FOK"}
    return by_name.get(terms.time_in_force, "GTC")


def _check_margin(params: Params) -> None:
    """Nothing is traded on margin here."""
    if text(params, "leverage", "none") not in ("none", "0", "1") or flag(params, "margin"):
        raise ApiError("EOrder:Insufficient margin")
    if flag(params, "reduce_only"):
        raise ApiError("EOrder:Reduce only:No position exists")
    if text(params, "starttm", "0") != "0":
        raise invalid("starttm is not simulated")


def _flags(params: Params) -> tuple[str, ...]:
    """With the currency of the fee, which by default is the quote."""
    flags = tuple(dict.fromkeys(texts(params, "oflags")))
    if not _FLAGS.issuperset(flags) or {"fcib", "fciq"} <= set(flags):
        raise invalid("oflags")
    return flags if "fcib" in flags or "fciq" in flags else ("fciq", *flags)


def _time_in_force(params: Params, kind: str, flags: tuple[str, ...]) -> str:
    tif = text(params, "timeinforce") or "GTC"
    if tif not in ("GTC", "IOC", "GTD", "FOK") or ("post" in flags and (tif in ("IOC", "FOK") or kind == "market")):
        raise invalid("timeinforce")
    return tif


def _userref(params: Params) -> int | None:
    given = text(params, "userref")
    if given and (text(params, "cl_ord_id") or not _USERREF.fullmatch(given) or abs(int(given)) >= 2**31):
        raise invalid("userref")
    return int(given) if given else None


def client_id(params: Params) -> str:
    """The client's id: a UUID, 32 hexadecimal digits, or up to 18 other characters; raises ApiError."""
    given = text(params, "cl_ord_id")
    if given and not _CLIENT_ID.fullmatch(given):
        raise invalid("cl_ord_id")
    return given


def _self_trade(params: Params) -> SelfTrade:
    given = text(params, "stptype", "cancel-newest").replace("_", "-")
    if given not in _SELF_TRADES:
        raise invalid("stptype")
    return cast(SelfTrade, given.replace("-", "_"))


def _end(params: Params, now: int) -> int:
    """``expiretm`` is a Unix time, ``+`` and seconds, or on the socket RFC 3339; raises ApiError."""
    given = required(params, "expiretm")
    if "T" in given:
        end = micros_of(given, "expiretm")
    elif (digits := given.removeprefix("+")).isascii() and digits.isdigit() and len(digits) < 12:
        end = int(digits) * SECOND + (now if given.startswith("+") else 0)
    else:
        raise invalid("expiretm")
    if end <= now:
        raise invalid("expiretm")
    return end

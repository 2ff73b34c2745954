"""Kraken's pairs and assets: their rows over REST and on the channel ``instrument``.

Source: https://docs.kraken.com/api-reference/market-data/get-tradable-asset-pairs and
https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/instrument
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.kit.numbers import Numbers, decimals
from neuroflux.sim.kraken.names import altname, asset_altname, asset_key, symbol_of, wsname
from neuroflux.sim.kraken.venue import COST_DECIMALS, LOT_DECIMALS, is_flat, ordermin
from neuroflux.sim.kraken.wire import ApiError, Json, Params, lexeme, texts

CASH = ("USD", "EUR")
_TIERS = ((0, 1), (10_000, Decimal("0.875")), (50_000, Decimal("0.6")), (1_000_000, Decimal("0.4")))
"""Volume of 30 days in USD, and the share of the lowest tier's fee from there on: the shape of the schedule."""


class Pairs:
    """Finds a pair by any of its four names, also one that is listed later; ``by_symbol`` has the socket's alone."""

    def __init__(self, exchange: SimExchange) -> None:
        self.exchange = exchange
        self._named: dict[str, Listing] = {}
        self.by_symbol: dict[str, Listing] = {}
        for listing in exchange.listings.values():
            self._add(listing)
        exchange.on_list.append(self._add)

    def _add(self, listing: Listing) -> None:
        for name in (listing.symbol, altname(listing), wsname(listing), symbol_of(listing)):
            self._named[name] = listing
        self.by_symbol[symbol_of(listing)] = listing

    def find(self, name: str) -> Listing:
        """Raises ApiError."""
        listing = self._named.get(name)
        if listing is None:
            raise ApiError("EQuery:Unknown asset pair")
        return listing

    def chosen(self, params: Params) -> dict[str, Listing]:
        """The pairs that ``pair`` names, or all, by the names of their rows: one with a slash is kept."""
        names = texts(params, "pair")
        listings = [self.find(name) for name in names] or list(self.exchange.listings.values())
        keys = [name if "/" in name else "" for name in names] or [""] * len(listings)
        return {key or listing.symbol: listing for key, listing in zip(keys, listings, strict=True)}

    # --- REST

    def pairs(self, params: Params, _: int) -> Json:
        return {key: self._pair(listing) for key, listing in self.chosen(params).items()}

    def _pair(self, listing: Listing) -> Json:
        row = {
            "altname": altname(listing),
            "wsname": wsname(listing),
            "aclass_base": "currency",
            "base": asset_key(listing.base_asset),
            "aclass_quote": "currency",
            "quote": asset_key(listing.quote),
            "lot": "unit",
            "cost_decimals": COST_DECIMALS,
            "pair_decimals": decimals(listing.tick),
            "lot_decimals": LOT_DECIMALS,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": _fees(listing.taker_fee),
            "fees_maker": _fees(listing.maker_fee),
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": f"{ordermin(listing):f}",
            "costmin": f"{listing.min_notional:f}",
            "tick_size": f"{self.exchange.tick_of(listing):f}",
            "status": self.status(listing),
        }
        if is_flat(listing):
            del row["fees_maker"]
        return row

    def status(self, listing: Listing) -> str:
        return "cancel_only" if listing.symbol in self.exchange.halted else "online"

    def _assets(self) -> list[str]:
        pairs = self.exchange.listings.values()
        return list(dict.fromkeys(name for one in pairs for name in (one.base_asset, one.quote)))

    def assets(self, params: Params, _: int) -> Json:
        """Raises ApiError for a name that no asset has."""
        known = {asset_key(name): name for name in self._assets()}
        by_name = {name: key for key, asset in known.items() for name in (key, asset, asset_altname(asset))}
        wanted = texts(params, "asset") or list(known)
        if not by_name.keys() >= set(wanted):
            raise ApiError("EQuery:Unknown asset")
        return {by_name[name]: _asset(known[by_name[name]]) for name in wanted}

    # --- the channel

    def reference(self) -> Json:
        """Every asset and pair as the channel ``instrument`` has them."""
        pairs = [self.instrument(listing) for listing in self.exchange.listings.values()]
        return {"assets": [_channel_asset(name) for name in self._assets()], "pairs": pairs}

    def instrument(self, listing: Listing) -> Json:
        numbers = Numbers(listing)
        tick = lexeme(numbers.price(1))
        return {
            "symbol": symbol_of(listing),
            "base": listing.base_asset,
            "quote": listing.quote,
            "status": self.status(listing),
            "qty_precision": LOT_DECIMALS,
            "qty_increment": lexeme(numbers.quantity(1)),
            "price_precision": decimals(listing.tick),
            "cost_precision": COST_DECIMALS,
            "marginable": False,
            "has_index": True,
            "cost_min": lexeme(f"{listing.min_notional:f}"),
            "tick_size": tick,
            "price_increment": tick,
            "qty_min": lexeme(f"{ordermin(listing):f}"),
        }


def _fees(share: Decimal) -> list[list[float]]:
    """Rows of volume and fee in percent."""
    return [[volume, float(round(share * 100 * part, 4))] for volume, part in _TIERS]


def asset_decimals(asset: str) -> int:
    """Of balances: currencies have four, older assets ten, later ones eight."""
    return 4 if asset in CASH else 10 if asset_key(asset) != asset else 8


def _asset(asset: str) -> Json:
    digits = asset_decimals(asset)
    return {
        "aclass": "currency",
        "altname": asset_altname(asset),
        "decimals": digits,
        "display_decimals": 2 if asset in CASH else 5,
        "status": "enabled",
    }


def _channel_asset(asset: str) -> Json:
    row = _asset(asset)
    return {
        "id": asset,
        "status": row["status"],
        "precision": row["decimals"],
        "precision_display": row["display_decimals"],
        "borrowable": False,
        "collateral_value": msgspec.Raw(b"1.00"),
    }

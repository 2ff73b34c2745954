"""Kraken's names: four of each pair, two of each asset, and those of orders, fills and ledger entries.

Source: https://docs.kraken.com/api-reference/market-data/get-tradable-asset-pairs
"""

from __future__ import annotations

import hashlib

from neuroflux.sim.core.coins import Listing

_OLD = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "DOGE": "XXDG", "USD": "ZUSD", "EUR": "ZEUR"}
"""The assets of the first years; later ones have one name."""
_ALTERNATIVE = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_PAIRS = ("BTC", "ETH", "XRP", "LTC", "USDT", "EUR")
"""The bases whose pairs with a currency are keyed by both old names; DOGE's is ``XDGUSD``, USDT's ``USDTZUSD``."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = 36**16
_SCATTER = 6364136223846793007
"""Coprime to the number of names, so that each number has a name of its own."""
_BACK = pow(_SCATTER, -1, _NAMES)


def asset_key(asset: str) -> str:
    """The name of an asset over REST: XXBT for BTC."""
    return _OLD.get(asset, asset)


def asset_altname(asset: str) -> str:
    """The other name over REST: XBT for BTC."""
    return _ALTERNATIVE.get(asset, asset)


def altname(listing: Listing) -> str:
    """XBTUSD for BTC/USD."""
    return _altname(listing.base_asset, listing.quote)


def _altname(base: str, quote: str) -> str:
    return asset_altname(base) + asset_altname(quote)


def wsname(listing: Listing) -> str:
    """XBT/USD for BTC/USD."""
    return f"{asset_altname(listing.base_asset)}/{asset_altname(listing.quote)}"


def symbol_of(listing: Listing) -> str:
    """BTC/USD: the name that the socket knows."""
    return f"{listing.base_asset}/{listing.quote}"


def pair_key(base: str, quote: str) -> str:
    """XXBTZUSD for BTC and USD."""
    is_old = base in _OLD_PAIRS and quote in _OLD
    if not is_old or (base, quote) == ("USDT", "EUR"):
        return _altname(base, quote)
    return asset_key(base) + asset_key(quote)


# --- ids


def _name(kind: str, number: int) -> str:
    text = ""
    for _ in range(16):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return f"{kind}{text[:5]}-{text[5:10]}-{text[10:]}"


def order_name(number: int) -> str:
    """An order's number as Kraken writes it: ``OABCDE-FGHIJ-KLMNOP``."""
    return _name("O", number * _SCATTER % _NAMES)


def order_number(name: object) -> int | None:
    """The inverse; None for what is no order's name."""
    text = str(name).replace("-", "")[1:]
    if len(text) != 16 or not set(text) <= set(_DIGITS):
        return None
    number = int(text, 36) * _BACK % _NAMES
    return number if order_name(number) == name else None


def hashed_name(kind: str, *parts: object) -> str:
    """The name of a fill (``T``) or a ledger entry (``L``), equal for equal parts."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return _name(kind, int.from_bytes(digest, "big") % _NAMES)

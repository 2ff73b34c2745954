"""The asset names of Hyperliquid's spot tokens: the exchange's own names are not unique, their indices are.

Anyone may deploy a token of any name, a known coin's too, and ``isCanonical`` is true of the first two alone, not
of HYPE. Sources, below https://hyperliquid.gitbook.io/hyperliquid-docs: hyperliquid-improvement-proposals-hips/
hip-1-native-token-standard, for-developers/api/info-endpoint/spot
"""

from __future__ import annotations

from typing import Final

KNOWN: Final = {
    "USDC": 0,
    "PURR": 1,
    "HYPE": 150,
    "UBTC": 197,
    "UETH": 221,
    "USDE": 235,
    "USOL": 254,
    "USDT0": 268,
    "UFART": 269,
    "XAUT0": 297,
    "UPUMP": 299,
    "USDH": 360,
}
"""The mainnet's tokens that are what their names say: its own coins, dollars, and Unit's claims on coins elsewhere."""


def asset_of(name: str, index: int | None) -> str:
    """``("HYPE", 150)`` → ``"HYPE"``; a token that is not known has its index beside its name: ``"TRUMP#12"``.

    The shares of an outcome have no index, and a name of their own: ``"+120"``.
    """
    return name if index is None or KNOWN.get(name) == index else f"{name}#{index}"


def fee_asset(token: str, symbol: str) -> str:
    """The asset of a fill's fee. The fill has only its name, and it is one of the pair's two assets.

    Of a pair that is not listed yet it is ``"TRUMP#?"``, unless the name is a known token's.
    """
    base, _, quote = symbol.partition("/")
    unlisted = f"{token}#?" if not quote and token not in KNOWN else token
    return next((asset for asset in (base, quote) if asset.rpartition("#")[0] == token), unlisted)

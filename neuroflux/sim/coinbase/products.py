"""How Coinbase writes a product.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/products/get-product
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.coinbase.aliases import aliases_of, canonical
from neuroflux.sim.coinbase.wire import Json, number
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.kit.numbers import Numbers

_FALSE = (
    *("watched", "is_disabled", "new", "cancel_only", "limit_only", "post_only", "trading_disabled", "auction_mode"),
    *("view_only", "is_alpha_testing"),
)
_EMPTY = ("market_cap", "base_cbrn", "quote_cbrn", "product_cbrn", "icon_color", "icon_url", "about_description")


def product(exchange: SimExchange, numbers: Numbers, day: Json, value: Decimal) -> Json:
    """Coinbase's row of a product; ``day`` and ``value`` (in the quote) are what was traded in a day."""
    listing = numbers.listing
    name, shared = listing.symbol, canonical(exchange, listing.symbol)
    is_halted = not {name, shared}.isdisjoint(exchange.halted)
    lot, tick = numbers.quantity(1), numbers.price(1)
    return {
        "product_id": name,
        "price": day["price"],
        "price_percentage_change_24h": day["price_percent_chg_24_h"],
        "volume_24h": day["volume_24_h"],
        "volume_percentage_change_24h": "0",
        "base_increment": lot,
        "quote_increment": tick,
        "quote_min_size": number(listing.min_notional),
        "quote_max_size": "150000000",
        "base_min_size": lot,
        "base_max_size": number(exchange.venue.most_lots * listing.lot),
        "base_name": listing.base_asset,
        "quote_name": listing.quote,
        "status": "online",
        "product_type": "SPOT",
        "quote_currency_id": listing.quote,
        "base_currency_id": listing.base_asset,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "" if shared == name else shared,
        "alias_to": aliases_of(exchange, name),
        "base_display_symbol": listing.base_asset,
        "quote_display_symbol": exchange.listings[shared].quote,
        "price_increment": tick,
        "display_name": name,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": number(round(value, 2)),
        "new_at": "2023-01-01T00:00:00Z",
        "best_bid_price": "",
        "best_ask_price": "",
        **dict.fromkeys(_EMPTY, ""),
        **dict.fromkeys(_FALSE, False),
        "trading_disabled": is_halted,
    }

"""SQL for the USD price of an asset, minute by minute, and for the newest rules of each instrument.

The unit of account is USDC, as in engine/markets/conversion.py: USDT and others convert at the quotes of ``USDC/…``.
"""

from __future__ import annotations

from neuroflux.engine.markets.conversion import AT_PAR

_AT_PAR = ", ".join(f"'{asset}'" for asset in sorted(AT_PAR))
PRICE_HOLDS_SECONDS = 600
"""An older price is not used: the value is NULL."""


def usd_prices(minutes: str = "") -> str:
    """USD per unit: the last price of each minute, or of ``minutes`` only. USDC has no row: it is always 1.

    Where an asset has both, its pair with USDC is used and not its aggregated price.
    """
    among = f"AND toStartOfMinute(event_time) IN ({minutes})" if minutes else ""
    return f"""
    SELECT asset, minute, argMin(usd, source) AS usd FROM (
        SELECT splitByChar('/', market)[1] AS asset, toStartOfMinute(event_time) AS minute,
               argMax(price, (event_time, _offset)) AS usd, 2 AS source
        FROM aggregated_prices WHERE endsWith(market, '/USD') AND market != 'USDC/USD' {among} GROUP BY asset, minute
        UNION ALL
        SELECT splitByChar('/', symbol)[2] AS asset, toStartOfMinute(event_time) AS minute,
               2 / argMax(bid_price + ask_price, (event_time, _offset)) AS usd, 1 AS source
        FROM quotes WHERE startsWith(symbol, 'USDC/') AND position(symbol, ':') = 0
                      AND 0 < bid_price AND bid_price < ask_price {among}
        GROUP BY asset, minute
    ) GROUP BY asset, minute
    """


def usd(asset: str, minute: str, joined: str) -> str:
    """USD per unit of ``asset`` in ``minute``, from the ASOF-joined relation ``joined``; NULL if unknown."""
    fresh = f"{joined}.usd > 0 AND dateDiff('second', {joined}.minute, {minute}) <= {PRICE_HOLDS_SECONDS}"
    return f"multiIf({asset} IN ({_AT_PAR}), 1., {fresh}, {joined}.usd, NULL)"


INSTRUMENTS = """
    SELECT exchange, symbol, argMax(base, _offset) AS base, argMax(quote, _offset) AS quote,
           argMax(settle, _offset) AS settle, argMax(market, _offset) AS market,
           argMax(multiplier, _offset) AS multiplier
    FROM instruments GROUP BY exchange, symbol
"""
"""The newest rules of each instrument; one partition holds them all, so the offset orders them."""

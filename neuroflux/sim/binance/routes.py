"""Which of USDⓈ-M's two market routes serves a stream: the other one accepts the subscription and sends nothing.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams; that ``@trade``
is on ``/public`` alone is not documented, and was seen by public probes of 2026-08 and -09.
"""

from __future__ import annotations

from neuroflux.sim.binance.streams import parse

PUBLIC, MARKET = "public", "market"


def is_served(route: str, name: str) -> bool:
    """Books, best prices and single trades are on ``/public``, everything else is on ``/market``."""
    kind = parse(name, 0)[1].removeprefix("!")
    is_public = kind in ("bookTicker", "trade") or kind.startswith("depth")
    return is_public == (route == PUBLIC)

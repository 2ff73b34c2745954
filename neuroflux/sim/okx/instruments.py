"""OKX's lists of instruments.

Source: https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.okx.venue import OKX, contract_size, kind_of, smallest_size
from neuroflux.sim.okx.wire import ApiError, Json, number, parameter_error

KINDS = ("SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN", "EVENTS")
GROUP = "1"
"""The fee group of every instrument."""
_LISTED = "1611916828000"
_MOST = {"SPOT": "9999999999", "SWAP": "100000000"}


class Instruments:
    """The rows of what is listed, and of an inverse swap, which is listed by OKX too, but not traded here."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange

    def listing(self, name: str, code: str = "") -> Listing:
        """The instrument of this name or, where one is given, of this number; raises ApiError 51001."""
        listings = self._exchange.listings
        if code:
            name = next((one.symbol for one in listings.values() if str(one.number) == code), "")
        if name not in listings:
            raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return listings[name]

    def of(self, kind: str) -> list[Listing]:
        """What is listed of one ``instType``; raises ApiError."""
        if kind not in KINDS:
            raise parameter_error("instType")
        return [one for one in self._exchange.listings.values() if kind_of(one) == kind]

    def rows(self, kind: str, name: str = "") -> list[Json]:
        rows = [self.row(listing) for listing in self.of(kind)]
        rows += [self._inverse()] if kind == "SWAP" else []
        found = [row for row in rows if name in ("", row["instId"])]
        if name and not found:
            self.listing("")
        return found

    def row(self, listing: Listing) -> Json:
        is_swap = listing.kind == "perpetual"
        own = _of_swap(listing) if is_swap else _of_spot(listing)
        state = "suspend" if listing.symbol in self._exchange.halted else "live"
        return {
            **_common(kind_of(listing)),
            **own,
            "instId": listing.symbol,
            "instIdCode": listing.number,
            "lever": str(listing.max_leverage) if is_swap else "",
            "tickSz": number(self._exchange.tick_of(listing)),
            "lotSz": number(listing.lot / contract_size(listing)),
            "minSz": number(smallest_size(listing)),
            "state": state,
        }

    def _inverse(self) -> Json:
        contract = {"ctType": "inverse", "ctVal": "100", "ctMult": "1", "ctValCcy": "USD", "settleCcy": "BTC"}
        steps = {"tickSz": "0.1", "lotSz": "1", "minSz": "1", "lever": "100", "state": "live"}
        names = {"instId": "BTC-USD-SWAP", "instIdCode": 99, "uly": "BTC-USD", "instFamily": "BTC-USD"}
        return {**_common("SWAP"), **contract, **steps, **names}

    def currencies(self, wanted: str = "") -> Iterator[Json]:
        """The chain of every asset; ``wanted`` is a list with commas."""
        assets = {name for one in self._exchange.listings.values() for name in (one.base_asset, one.quote)}
        for asset in sorted(assets | self._exchange.spot.balances.keys()):
            if not wanted or asset in wanted.split(","):
                yield _currency(asset)


def _common(kind: str) -> Json:
    empty = ("alias", "expTime", "optType", "stk", "contTdSwTime", "openType", "auctionEndTime", "upcChg")
    names = ("baseCcy", "quoteCcy", "settleCcy", "uly", "instFamily", "ctType", "ctVal", "ctMult", "ctValCcy")
    most = dict.fromkeys(("maxLmtSz", "maxTwapSz", "maxIcebergSz", "maxTriggerSz"), _MOST[kind])
    limits = {"maxMktSz": "1000000", "maxStopSz": "1000000", "maxLmtAmt": "20000000", "maxMktAmt": "1000000"}
    more: Mapping[str, Any] = {"category": "1", "ruleType": "normal", "listTime": _LISTED, "groupId": GROUP}
    return {"instType": kind, **dict.fromkeys((*empty, *names), ""), **most, **limits, **more, "upcChg": []}


def _of_spot(listing: Listing) -> Json:
    return {"baseCcy": listing.base_asset, "quoteCcy": listing.quote, "tradeQuoteCcyList": [listing.quote]}


def _of_swap(listing: Listing) -> Json:
    family = f"{listing.base_asset}-{listing.quote}"
    size = {"ctType": "linear", "ctVal": number(contract_size(listing)), "ctMult": "1", "ctValCcy": listing.base_asset}
    return {**size, "settleCcy": listing.quote, "uly": family, "instFamily": family}


def _currency(asset: str) -> Json:
    allowed = dict.fromkeys(("canDep", "canInternal", "canWd", "mainNet"), True)
    fees = {"minFee": "0.0004", "maxFee": "0.0008", "minWd": "0.001", "maxWd": "500", "minDep": "0.0001"}
    more = {
        "wdTickSz": "8",
        "needTag": False,
        "wdQuota": "10000000",
        "usedWdQuota": "0",
        "name": asset,
        "fee": "0.0004",
    }
    return {"ccy": asset, "chain": f"{asset}-{OKX.upper()}", **allowed, **fees, **more}

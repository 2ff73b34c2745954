"""OKX: sizes of perpetuals are contracts, answers have an envelope, and a book's updates name the one before."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz.frames import rest, ws
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded

MS: Final = "1795824000000"
SPOT, SWAP = "SOL-USDT", "SOL-USDT-SWAP"
_SIDES: Final = {"b": "bids", "a": "asks"}


class OkxSource(Levels):
    """A perpetual's book: contracts of 0.1. Numbers jump."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 100

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        before, self.last = self.last, self.last + 7
        levels = {"bids": [], "asks": [], _SIDES[side]: [[str(price), str(10 * quantity), "0", "1"]]}
        return encoded(frame("books", SWAP, {**levels, **self._numbers(before)}, action="update"))

    def snapshot(self) -> bytes:
        bids, asks = ([[price, f"{size}0", "0", "1"] for price, size in side] for side in self.top())
        row = {"asks": asks, "bids": bids, **self._numbers(-1)}
        return encoded(frame("books", SWAP, row, action="snapshot"))

    def _numbers(self, before: int) -> dict[str, Any]:
        return {"ts": MS, "checksum": 0, "prevSeqId": before, "seqId": self.last}


def frame(channel: str, name: str, *rows: Any, **more: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": name}, **more, "data": list(rows)}


def private(channel: str, *rows: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instType": "ANY", "uid": "7"}, "data": list(rows)}


def envelope(*rows: Any, code: str = "0", msg: str = "") -> dict[str, Any]:
    return {"code": code, "msg": msg, "data": list(rows)}


_SPOT_ROW: Final = {
    "instType": "SPOT",
    "instId": SPOT,
    "baseCcy": "SOL",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "ctType": "",
    "ctVal": "",
    "ctMult": "",
    "ctValCcy": "",
    "tickSz": "0.01",
    "lotSz": "0.001",
    "minSz": "0.01",
    "maxLmtSz": "99999",
    "state": "live",
    "expTime": "",
    "instIdCode": 101,
}
_SWAP_ROW: Final = _SPOT_ROW | {
    "instType": "SWAP",
    "instId": SWAP,
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "USDT",
    "ctType": "linear",
    "ctVal": "0.1",
    "ctMult": "1",
    "ctValCcy": "SOL",
    "lotSz": "1",
    "minSz": "1",
    "instIdCode": 102,
}


def _quote(name: str, unit: int) -> dict[str, Any]:
    bids, asks = [["10", str(unit), "0", "1"]], [["20", str(2 * unit), "0", "2"]]
    return frame("bbo-tbt", name, {"asks": asks, "bids": bids, "ts": MS, "seqId": 7})


_LEVELS: Final = {"asks": [["20", "2", "0", "1"]], "bids": [["10", "1", "0", "1"]], "ts": MS, "seqId": 100}
_TRADE: Final = {"instId": SWAP, "tradeId": "901", "px": "150.1", "sz": "4", "side": "buy", "ts": MS, "count": "1"}
_RATE: Final = {
    "instId": SWAP,
    "instType": "SWAP",
    "fundingRate": "-0.0001",
    "fundingTime": "1795852800000",
    "nextFundingTime": "1795881600000",
    "ts": MS,
}
_ORDER: Final = {
    "instType": "SWAP",
    "instId": SWAP,
    "ordId": "8001",
    "clOrdId": "nf1",
    "side": "buy",
    "ordType": "limit",
    "state": "partially_filled",
    "sz": "40",
    "accFillSz": "10",
    "px": "150.1",
    "avgPx": "150",
    "uTime": MS,
    "tradeId": "77",
    "fillPx": "150",
    "fillSz": "10",
    "fillTime": MS,
    "fillFee": "-0.075",
    "fillFeeCcy": "USDT",
    "execType": "T",
    "cancelSource": "",
    "tgtCcy": "",
}
_FILL: Final = {
    "instType": "SPOT",
    "instId": SPOT,
    "tradeId": "78",
    "ordId": "8002",
    "clOrdId": "nf2",
    "billId": "9001",
    "fillPx": "150",
    "fillSz": "0.5",
    "side": "sell",
    "execType": "M",
    "fee": "0.01",
    "feeCcy": "USDT",
    "fillTime": MS,
    "ts": MS,
}
_DETAIL: Final = {"ccy": "USDT", "cashBal": "100", "availBal": "90", "availEq": "85", "ordFrozen": "5", "uTime": MS}
_ACCOUNT: Final = {"totalEq": "100", "uTime": MS, "details": [_DETAIL, _DETAIL | {"ccy": "SOL", "availEq": ""}]}
_POSITION: Final = {
    "instType": "SWAP",
    "instId": SWAP,
    "pos": "-10",
    "posSide": "net",
    "mgnMode": "cross",
    "avgPx": "150",
    "upl": "-0.5",
    "uTime": MS,
}
_CONFIG: Final = {"acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade", "ip": "", "uid": "7"}
_RESULT: Final = {"ordId": "8001", "clOrdId": "nf1", "tag": "", "ts": MS, "sCode": "0", "sMsg": "", "subCode": ""}
_BILL: Final = {"billId": "5", "ccy": "USDT", "balChg": "-2", "type": "1", "subType": "12", "ts": MS}
_FEES: Final = {"instType": "SWAP", "maker": "", "taker": "", "makerU": "-0.0002", "takerU": "-0.0005", "feeGroup": []}


def _failed(action: str, status: int, code: str, outcome: Any, msg: str = "text") -> Verdict:
    """The whole is refused."""
    return Verdict(action, status, envelope(code=code, msg=msg), outcome)


def _rejected(action: str, status: int, code: str, outcome: Any, msg: str = "text") -> Verdict:
    """The row is refused: its code decides."""
    row = _RESULT | {"ordId": "", "sCode": code, "sMsg": msg}
    return Verdict(action, status, envelope(row, code="1", msg="All operations failed"), outcome)


OKX: Final = Example(
    keys=Keys("the-key", "the-secret", passphrase="the-word"),
    lists=(envelope(_SPOT_ROW), envelope(_SWAP_ROW)),
    messages=(
        ws(_quote(SWAP, 10)),
        ws(frame("books", SPOT, _LEVELS | {"prevSeqId": -1, "checksum": 0}, action="snapshot")),
        ws(frame("books", SWAP, _LEVELS | {"prevSeqId": 100, "seqId": 103, "checksum": 0}, action="update")),
        ws(frame("trades", SWAP, _TRADE)),
        ws(frame("funding-rate", SWAP, _RATE)),
        ws(frame("mark-price", SWAP, {"instType": "SWAP", "instId": SWAP, "markPx": "150.2", "ts": MS})),
        ws(frame("index-tickers", SPOT, {"instId": SPOT, "idxPx": "150.3", "ts": MS})),
        ws({"event": "subscribe", "arg": {"channel": "books", "instId": SPOT}, "connId": "a"}),
        ws({"event": "error", "code": "60012", "msg": "Invalid request", "connId": "a"}),
        ws({"event": "notice", "code": "64008", "msg": "closing", "connId": "a"}),
        ws({"event": "login", "code": "0", "msg": "", "connId": "a"}),
        ws(private("orders", _ORDER, _ORDER | {"state": "hibernated"})),
        ws(private("account", _ACCOUNT | {"eventType": "snapshot", "curPage": 1, "lastPage": True})),
        ws(private("positions", _POSITION)),
        rest(envelope(_SPOT_ROW), tag="instruments"),
        rest(envelope({"ts": MS}), tag="time"),
        rest(envelope(_LEVELS), tag="books", url=f"/api/v5/market/books?instId={SPOT}&sz=400"),
        rest(envelope(_ACCOUNT), tag="balances", url="/api/v5/account/balance"),
        rest(envelope(_POSITION), tag="positions", url="/api/v5/account/positions?instType=SWAP"),
        rest(envelope(_ORDER), tag="orders", url="/api/v5/trade/orders-pending?limit=100"),
        rest(envelope(_FILL), tag="fills", url="/api/v5/trade/fills?limit=100"),
        rest(envelope(_CONFIG), tag="config", url="/api/v5/account/config"),
        rest(envelope(_BILL), tag="bills", url="/api/v5/account/bills?type=1"),
        rest(envelope(_FEES), tag="fees", url="/api/v5/account/trade-fee?instType=SWAP&instFamily=SOL-USDT"),
        rest(envelope(_RESULT), tag="place", url="/api/v5/trade/order"),
        rest(envelope(_RESULT | {"sCode": "51008"}, code="1"), tag="place", url="/api/v5/trade/order"),
        rest(envelope(code="50011", msg="Too many requests"), tag="place", status=429),
    ),
    symbol="SOL/USDT:USDT",
    kinds=frozenset({InstrumentKind.SPOT, InstrumentKind.PERPETUAL}),
    quotes={"SOL/USDT": _quote(SPOT, 1), "SOL/USDT:USDT": _quote(SWAP, 10)},
    source=OkxSource,
    verdicts=(
        _rejected("place", 200, "51008", Reject),
        _rejected("place", 200, "51020", Reject),
        _rejected("place", 400, "51000", Reject, "Parameter px error"),
        _failed("place", 400, "50014", Reject),
        _failed("place", 401, "50113", Reject),
        _failed("place", 200, "50036", Reject),
        _failed("place", 401, "50102", Reject),
        _rejected("place", 200, "51016", InDoubt),
        _rejected("place", 200, "51000", InDoubt, "Parameter clOrdId error"),
        _rejected("place", 200, "51149", InDoubt),
        _failed("place", 400, "50004", InDoubt),
        _failed("place", 429, "50013", InDoubt),
        _failed("place", 503, "50001", InDoubt),
        _failed("place", 500, "51008", InDoubt),
        _failed("place", 408, "51008", InDoubt),
        _failed("place", 500, "50011", InDoubt),
        _rejected("place", 200, "59999", InDoubt),
        _failed("place", 200, "0", InDoubt),
        _failed("place", 429, "50011", Throttled),
        _failed("place", 200, "50011", Throttled),
        _rejected("place", 200, "50061", Throttled),
        Verdict("place", 429, "too many", Throttled),
        Verdict("place", 403, "blocked", Throttled),
        _rejected("place", 200, "51603", InDoubt),
        _failed("query", 200, "51603", NotThere),
        _failed("query", 200, "51001", Reject),
        _rejected("cancel", 200, "51400", NotThere),
        _rejected("cancel", 200, "51410", InDoubt),
    ),
)

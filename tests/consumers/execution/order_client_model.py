"""The executor without Kafka or an exchange: an in-memory log that refuses large records, and a fake order client.

``answers`` has the outcome of a request for each client order id, by method.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import msgspec
from aiokafka import TopicPartition

from consumers.execution.alarms import Alarms
from consumers.execution.decider import Decider
from consumers.execution.executor import Executor, Parts
from consumers.execution.gateway import Gateway
from consumers.execution.journal import Journal
from consumers.execution.leverage import Leverages
from consumers.execution.view import Views
from neuroflux.domain import (
    Ack,
    Balance,
    BookSnapshot,
    CommandKind,
    Fill,
    Instrument,
    InstrumentKind,
    JournalEntry,
    Level,
    Liquidity,
    OrderCommand,
    OrderEvent,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Side,
)
from neuroflux.engine.risk.limits import limits_of
from neuroflux.errors import TooLarge
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.budget import Urgency
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.places import Place
from neuroflux.records.topics import (
    ALL,
    BALANCES,
    BOOKS,
    COMMANDS,
    EVENTS,
    INSTRUMENTS,
    JOURNAL,
    ORDER_DEAD_LETTERS,
    Topic,
)
from neuroflux.runtime.settings import Settings

SPOT = Instrument(
    exchange="binance",
    symbol="NFX/USDC",
    market="NFX/USD",
    name="NFXUSDC",
    base="NFX",
    quote="USDC",
    kind=InstrumentKind.SPOT,
    tick_size=Decimal("0.01"),
    quantity_step=Decimal("0.001"),
    min_notional=Decimal(5),
    taker_fee=Decimal("0.001"),
)
MOST_BYTES = 1_000_000


def now() -> int:
    return time.time_ns() // 1_000


class Log:
    """Kafka: everything that was written, with its topic; the journal is passed to its readers."""

    def __init__(self) -> None:
        self.codec = Codec({topic.name: number for number, topic in enumerate(ALL, 1)})
        self.records: list[tuple[Topic, Any]] = []
        self.letters: list[tuple[bytes, dict[str, bytes]]] = []
        self.journal: list[JournalEntry] = []
        self.readers: list[Journal] = []
        self.most_in_journal = MOST_BYTES

    async def write(self, topic: Topic, record: Any, *, partition: int | None = None) -> Place:
        if len(self.codec.encode(topic, record)) > (self.most_in_journal if topic is JOURNAL else MOST_BYTES):
            raise TooLarge(f"Kafka did not take a record of {topic.name}")
        self.records.append((topic, record))
        if topic is not JOURNAL:
            return Place(0, len(self.records) - 1)
        self.journal.append(record)
        for one in self.readers:
            one._take(self._entry(len(self.journal) - 1))
        return Place(0, len(self.journal) - 1)

    def _entry(self, offset: int) -> Entry:
        record = self.journal[offset]
        return Entry(JOURNAL, 0, offset, record.order_id, record, b"", "", 0)

    def follow(self) -> Journal:
        made = Journal(cast(Publisher, self), cast(Reader, None))
        for offset in range(len(self.journal)):
            made._take(self._entry(offset))
        self.readers = [made]
        return made

    async def write_all(self, records: Sequence[tuple[Topic, Any]]) -> None:
        for topic, record in records:
            await self.write(topic, record)

    def publish(self, topic: Topic, record: Any) -> None:
        self.records.append((topic, record))

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Any = ()) -> None:
        assert topic is ORDER_DEAD_LETTERS
        assert len(value) + len(key or b"") + sum(len(text) for _, text in headers) < MOST_BYTES
        self.letters.append((value, dict(headers)))

    async def flush(self) -> None:
        pass

    def events(self, order_id: str) -> list[OrderEvent]:
        """Those of the order as a whole."""
        found = [record for topic, record in self.records if topic is EVENTS and record.order_id == order_id]
        return [one for one in found if not one.client_order_id]


class FakeOrderClient:
    exchange = "binance"

    def place(self, placement: Placement, now: int) -> Request:
        return Request("POST", placement.client_order_id, msgspec.json.encode(placement.quantity), tag="place")

    def cancel(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return Request("DELETE", client_order_id)

    def query(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return Request("GET", client_order_id)

    settled_after = 6_000_000
    finds_by_number = False
    remembers_ended = False
    reads_lists = False

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        return f"{order_id}/{leg}/{attempt}"


class FakeGateway:
    """Sends at once; ``answers`` has the outcomes."""

    exchanges: Sequence[str] = ("binance",)

    def __init__(self) -> None:
        self.placed: list[Placement] = []
        self.requests: list[Request] = []
        self.answers: dict[str, Callable[[str], Outcome]] = {}
        self._order_client = FakeOrderClient()
        self.outcomes: dict[int, Outcome] = {}
        self.hold_seconds = self.risk_hold_seconds = 0.0

    def order_client(self, exchange: str) -> OrderClient:
        return cast(OrderClient, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._order_client, name)

    def place_request(self, placement: Placement) -> Request:
        self.placed.append(placement)
        return self._order_client.place(placement, 0)

    def outcome(self, answer: Answer) -> Outcome:
        return self.answers[answer.request.method](answer.request.path)

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        request = build(cast(OrderClient, self._order_client), 0)
        self.requests.append(request)
        return Answer(request, 200, b"")

    async def place(self, exchange: str, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(request, 200, b"")

    def now(self, exchange: str) -> int:
        return now()

    def offset(self, exchange: str) -> int:
        return 0

    def held(self, exchange: str) -> float:
        return self.hold_seconds

    def risk_held(self, exchange: str) -> float:
        return self.risk_hold_seconds

    def hold_risk(self, exchange: str, seconds: float, why: str) -> None:
        self.risk_hold_seconds = seconds

    def failing(self, exchange: str) -> str:
        return ""

    def error_rate(self, exchange: str) -> float:
        return 0.0

    def order_wait(self, instrument: Instrument, urgency: Urgency) -> float:
        return 0.0

    def try_order(self, instrument: Instrument, urgency: Urgency) -> bool:
        return True

    async def measure(self, exchange: str, since: float | None = None) -> None:
        pass

    def hold(self, exchange: str, seconds: float, why: str) -> None:
        self.hold_seconds = seconds


class Gate(FakeGateway):
    """Its order client keeps the placements that were signed."""

    def order_client(self, exchange: str) -> OrderClient:
        return cast(OrderClient, _Signing(self))


class _Signing:
    def __init__(self, gate: FakeGateway) -> None:
        self._gate = gate

    def place(self, placement: Placement, _: int) -> Request:
        return self._gate.place_request(placement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)


class Bench:
    """One executor of partition 0 with one spot instrument, funds and a book of this moment."""

    def __init__(self, log: Log, gate: Gate) -> None:
        self.log, self.gate = log, gate
        self.views, self.journal = Views(), log.follow()
        gateway, limits = cast(Gateway, gate), limits_of(ORDER_LIMITS)
        self.decider = Decider(self.views, gateway, self.journal, limits)
        self.decider._warm_until = 0
        self.views.fills_read.set()
        self.leverages = Leverages(gateway, self.views)
        self.executor = Executor(
            Parts(
                settings=cast(Settings, None),
                codec=log.codec,
                publisher=cast(Publisher, log),
                journal=self.journal,
                views=self.views,
                gateway=gateway,
                decider=self.decider,
                leverages=self.leverages,
                alarms=Alarms(limits),
            )
        )
        self.offset = 0
        self.show(INSTRUMENTS, SPOT)
        for asset in ("USDC", "NFX"):
            free = Decimal(10_000)
            self.show(BALANCES, Balance("binance", asset, free, Decimal(0), Decimal(0), free, now()))
        self.book()

    def show(self, topic: Topic, record: Any, at: int | None = None) -> None:
        """Pass the views a record that was written now, or at ``at``."""
        at = now() if at is None else at
        self.views.take(Entry(topic, 0, 0, topic.key(record), record, b"", "", at))

    def book(self, bid: float = 99.9, ask: float = 100.0) -> None:
        at = now()
        sides = ((Level(bid, 500.0),), (Level(ask, 500.0),))
        self.show(BOOKS, BookSnapshot("binance", "NFX/USDC", "NFX/USD", *sides, at, at, at))

    async def take(self, command: OrderCommand) -> None:
        """Begin a command and wait until it is done."""
        await self.begin(command)
        async with asyncio.timeout(10):
            while self.executor.commands.offsets.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def begin(self, command: OrderCommand) -> None:
        raw = self.log.codec.encode(COMMANDS, command)
        entry = Entry(COMMANDS, 0, self.offset, command.order_id, command, raw, "", now())
        self.offset += 1
        await self.executor.commands.take(entry)

    async def ends(self, order_id: str) -> OrderEvent:
        """The last event of an order, once it has ended."""
        async with asyncio.timeout(10):
            while not (found := [one for one in self.log.events(order_id) if one.state.final]):
                self.check()
                await asyncio.sleep(0)
        return found[-1]

    def check(self) -> None:
        """Raise the error that the stage failed with."""
        if self.executor.failed.done():
            self.executor.failed.result()


@asynccontextmanager
async def bench(log: Log | None = None, gate: Gate | None = None, ask: float = 100.0) -> AsyncIterator[Bench]:
    made = Bench(log or Log(), gate or Gate())
    made.book(ask - 0.1, ask)
    made.gate.answers.setdefault("POST", filled)
    await made.executor.assigned(cast(Reader, None), {TopicPartition(COMMANDS.name, 0)})
    try:
        yield made
        made.check()
    finally:
        await made.executor.close()


def report(named: str, state: OrderState, quantity: str = "0") -> OrderReport:
    where = ("binance", "NFX/USDC", named, f"x{named}", Side.BUY, OrderType.LIMIT)
    price = Decimal(100) if quantity != "0" else Decimal(0)
    return OrderReport(*where, Decimal(100), Decimal(1), Decimal(quantity), price, state, "", now())


def filled(named: str) -> Outcome:
    """All of a unit, with its fill."""
    fill = Fill(
        "", "binance", "NFX/USDC", named, f"x{named}", f"t{named}", Side.BUY, Decimal(100), Decimal(1),
        Decimal("0.1"), "USDC", Liquidity.TAKER, now(),
    )  # fmt: skip
    return Ack(report(named, OrderState.FILLED, "1"), (fill,))


def working(named: str) -> Outcome:
    return Ack(report(named, OrderState.ACKNOWLEDGED))


def place(order_id: str, **how: Any) -> OrderCommand:
    given: dict[str, Any] = {"market": "NFX/USD", "quantity": Decimal(1), "issued_at": now()}
    return OrderCommand(order_id=order_id, kind=CommandKind.PLACE, **(given | how))


def cancel(order_id: str) -> OrderCommand:
    return OrderCommand(order_id=order_id, kind=CommandKind.CANCEL, issued_at=now())


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # it looks at what another task does
            await asyncio.sleep(0)

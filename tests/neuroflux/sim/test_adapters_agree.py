"""The law that keeps the simulator honest: what an adapter parses from what it wrote is what it meant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import web

from neuroflux.domain import (
    Ack,
    Balance,
    BookSnapshot,
    Fill,
    Funding,
    InDoubt,
    Instrument,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Position,
    Quote,
    Reject,
    TimeInForce,
    Trade,
)
from neuroflux.domain import Side as Direction
from neuroflux.exchanges.catalogue import EXCHANGE_IDS, facade_name
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, PageNeeded, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.interface import Feed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.sim.catalogue import dialects
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Book
from neuroflux.sim.core.simulation import DemoAccount, Dialect
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.core.world import Change
from neuroflux.sim.server import Served, serve
from tests.mintex.dialect import MintexDialect
from tests.neuroflux.exchanges.kit.exchanges import EXCHANGES

SYMBOLS = {
    "binance": ("BTC/USDT", "BTCUSDT"),
    "binanceusdm": ("BTC/USDT:USDT", "BTCUSDT"),
    "hyperliquid": ("BTC/USDC:USDC", "BTC"),
    "okx": ("BTC/USDT", "BTC-USDT"),
    "bybit": ("BTC/USDT:USDT", "linear:BTCUSDT"),
    "coinbase": ("BTC/USD", "BTC-USD"),
    "kraken": ("BTC/USD", "XXBTZUSD"),
    "mintex": ("BTC/USDT", "BTC-USDT"),
}
LATER = frozenset({"coinbase", "kraken", "okx"})
"""Their answer to a new order names it alone: what it traded is known from a query."""
OWN_TRADE_IDS = frozenset({"hyperliquid", "bybit", "kraken"})
"""Their ids of trades are not the core's numbers."""
NO_LISTED_FEES = frozenset({"coinbase"})
"""Their list of instruments has no fees: until the account's are known, those of the lowest tier count."""
ALL_DIALECTS: Sequence[type[Dialect]] = (*dialects(), MintexDialect)
VENUES: Mapping[str, Venue] = {dialect.venue.id: dialect.venue for dialect in ALL_DIALECTS}
SPOT = [one for one, (symbol, _) in SYMBOLS.items() if ":" not in symbol]
Levels = tuple[tuple[Decimal, Decimal], ...]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(0, seed=1, dialects=ALL_DIALECTS) as server:
        yield server


class Recorder:
    """Stands before a dialect and notes what it is about to tell of one symbol."""

    def __init__(self, served: Served, exchange_id: str, symbol: str) -> None:
        dialect = served.simulation.dialects[exchange_id]
        sim = served.simulation.exchange(exchange_id)
        self.venue, self.prefixes, self.changes = dialect.venue, dialect.prefixes, dialect.changes
        self.symbol = symbol
        self.books = [self._snapshot(sim.listings[symbol], sim.books[symbol])]
        self.trades: dict[str, tuple[Decimal, Decimal, str]] = {}
        self._dialect = dialect

    def publish(self, changes: Sequence[Change], now: int) -> None:
        for change in changes:
            if change.listing.symbol == self.symbol:
                self.books.append(self._snapshot(change.listing, change.book))
                for match in change.matches:
                    price, quantity = match.price * change.listing.tick, match.quantity * change.listing.lot
                    self.trades[str(match.trade_id)] = (price, quantity, match.side)
        self._dialect.publish(changes, now)

    @staticmethod
    def _snapshot(listing: Listing, book: Book) -> tuple[Levels, Levels]:
        bids, asks = (
            tuple((price * listing.tick, quantity * listing.lot) for price, quantity in half.levels(20))
            for half in (book.bids, book.asks)
        )
        return bids, asks

    def routes(self) -> list[web.RouteDef]:
        return self._dialect.routes()

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return self._dialect.failure(status, retry_after)

    def account(self) -> DemoAccount:
        return self._dialect.account()


class Shell:
    """The I/O that a feed and a desk wish for, against the simulator."""

    def __init__(self, served: Served, exchange_id: str, http: aiohttp.ClientSession) -> None:
        self.exchange_id, self.http = exchange_id, http
        self.exchange = EXCHANGES[exchange_id]
        self.base = served.url + VENUES[exchange_id].path
        account = served.simulation.dialects[exchange_id].account().entries()[-1]
        self.keys = Keys(account.address or account.key, account.secret, passphrase=account.passphrase)
        self.instruments: Sequence[Instrument] = ()
        self.events: list[FeedEvent] = []
        self.news = asyncio.Event()

    async def ask(self, request: Request) -> Answer:
        url, made = yarl.URL(self.base + request.path, encoded=True), request.signed(now())  # sent as it was signed
        sent = self.http.request(made.method, url, data=made.body or None, headers=dict(made.headers))
        async with sent as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(request, response.status, await response.read(), headers)

    async def load(self) -> None:
        answers = [await self.ask(request) for request in self.exchange.instruments_requests()]
        self.instruments = self.exchange.listing(answers).instruments

    def instrument(self) -> Instrument:
        return next(each for each in self.instruments if each.symbol == SYMBOLS[self.exchange_id][0])

    async def _take(self, feed: Feed, events: Sequence[FeedEvent]) -> None:
        for event in events:
            if isinstance(event, BookChanged):
                event = event.snapshot(20)  # type: ignore[assignment]
            self.events.append(event)
            self.news.set()
            if isinstance(event, SnapshotNeeded | PageNeeded):
                answer = await self.ask(event.request)
                await self._take(feed, feed.answer(answer, now()))

    async def _listen(self, feed: Feed, subscription: Subscription) -> None:
        async with self.http.ws_connect(self.base.replace("http", "ws", 1) + subscription.path) as socket:
            for frame in subscription.first:
                await socket.send_str(frame.decode())
            later = subscription.later
            async for message in socket:
                if later and subscription.awaits.decode() in message.data:
                    for frame in later:
                        await socket.send_str(frame.decode())
                    later = ()
                await self._take(feed, feed.frame(message.data, now(), subscription.name))

    @asynccontextmanager
    async def following(self, feed: Feed, subscriptions: Sequence[Subscription]) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._listen(feed, each)) for each in subscriptions]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each for each in ended if each and not isinstance(each, asyncio.CancelledError)] == []

    async def until(self, wanted: Any) -> None:
        """Wait until ``wanted(events)`` is true; raises TimeoutError after 15 s."""
        async with asyncio.timeout(15):
            while not wanted(self.events):
                self.news.clear()
                await self.news.wait()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def now() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def shell_of(served: Served, exchange_id: str) -> AsyncIterator[Shell]:
    async with aiohttp.ClientSession() as http:
        shell = Shell(served, exchange_id, http)
        await shell.load()
        yield shell


def numbers(levels: Sequence[Any]) -> Levels:
    return tuple((Decimal(level.price), Decimal(level.quantity)) for level in levels)


def test_adapters_and_simulator_know_the_same_exchanges_and_paths() -> None:
    assert EXCHANGES.keys() == VENUES.keys()
    assert {key: f"/{facade_name(key)}" for key in EXCHANGE_IDS} == {key: VENUES[key].path for key in EXCHANGE_IDS}


@pytest.mark.parametrize("exchange_id", SYMBOLS)
async def test_instruments(served: Served, exchange_id: str) -> None:
    async with shell_of(served, exchange_id) as shell:
        instruments = {each.name: each for each in shell.instruments}
    assert set(instruments) >= {listing.symbol for listing in VENUES[exchange_id].listings}
    for listing in VENUES[exchange_id].listings:
        meant = instruments[listing.symbol]
        assert meant.quantity_step == listing.lot
        assert meant.multiplier == listing.multiplier
        assert meant.min_notional == listing.min_notional
        if exchange_id in NO_LISTED_FEES:
            assert meant.taker_fee >= listing.taker_fee
        else:
            assert (meant.taker_fee, meant.maker_fee) == (listing.taker_fee, listing.maker_fee)
        if exchange_id != "hyperliquid":
            assert meant.tick_size == listing.tick


@pytest.mark.parametrize("exchange_id", SYMBOLS)
async def test_market_data(served: Served, exchange_id: str) -> None:
    (symbol, name), began = SYMBOLS[exchange_id], now()
    recorder = Recorder(served, exchange_id, name)
    served.simulation.dialects[exchange_id] = recorder
    async with shell_of(served, exchange_id) as shell:
        feed = shell.exchange.market_feed(shell.instruments)
        kinds = (Quote, Trade) if exchange_id in SPOT else (Quote, Trade, Funding)
        async with shell.following(feed, feed.subscriptions([symbol])):
            await shell.until(lambda events: len(snapshots(events)) > 5 and all(shell.of(kind) for kind in kinds))
    assert shell.of(Undecodable) == []
    for snapshot in snapshots(shell.events):
        depth = (len(snapshot.bids), len(snapshot.asks))
        there = [(bids[: depth[0]], asks[: depth[1]]) for bids, asks in recorder.books]
        assert (numbers(snapshot.bids), numbers(snapshot.asks)) in there
        assert min(depth) >= 5
    tops = [(*bids[0], *asks[0]) for bids, asks in recorder.books]
    for quote in shell.of(Quote)[1:]:
        got = (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)
        assert tuple(map(Decimal, got)) in tops
    meant = set(recorder.trades.values())
    known = [one for one in shell.of(Trade) if exchange_id in OWN_TRADE_IDS or one.trade_id in recorder.trades]
    assert known
    for trade in known[-1:]:
        assert (Decimal(trade.price), Decimal(trade.quantity), trade.side.value) in meant
    for funding in shell.of(Funding):
        listing = served.simulation.exchange(exchange_id).listings[name]
        assert Decimal(funding.rate) == pytest.approx(
            served.simulation.world.funding_rate(listing), abs=Decimal("1e-5")
        )
        due = [served.simulation.world.next_funding(exchange_id, at) for at in (began, now())]
        assert funding.next_funding_time in due  # the hour may have passed meanwhile


def snapshots(events: Sequence[FeedEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, BookSnapshot)]


def placement(
    shell: Shell, side: Direction, quantity: str, price: Decimal, tif: TimeInForce, attempt: int
) -> Placement:
    client = shell.exchange.order_client(shell.keys, shell.instruments)
    kind = OrderType.MARKET if tif is TimeInForce.IOC else OrderType.LIMIT
    client_id = client.client_order_id("018f-test", 0, attempt)
    return Placement(shell.instrument(), client_id, side, kind, Decimal(quantity), price, tif)


async def queried(shell: Shell, placed: Placement) -> Outcome:
    """What lists say of an order, where the exchange is asked by lists, or else its own query."""
    client, named = shell.exchange.order_client(shell.keys, shell.instruments), placed.client_order_id
    for request in client.statuses(now() - 60_000_000, now()):
        for one in await listed(shell, request):
            if isinstance(one, OrderReport) and one.client_order_id == named:
                return Ack(one)
    return client.outcome(await shell.ask(client.query(placed.instrument, named, now())))


async def decided(shell: Shell, placed: Placement, request: Request) -> Outcome:
    """The outcome of a request; where the exchange takes it and decides later, that of queries about the order."""
    client = shell.exchange.order_client(shell.keys, shell.instruments)
    outcome = client.outcome(await shell.ask(request))
    if not isinstance(outcome, InDoubt) or not outcome.is_taken:
        return outcome
    for _ in range(10):
        await asyncio.sleep(0.1)
        outcome = await queried(shell, placed)
        if isinstance(outcome, Ack) and outcome.report.state.final:
            break
    return outcome


async def listed(shell: Shell, request: Request) -> list[Any]:
    """What a list of orders reports, to its last page."""
    client = shell.exchange.order_client(shell.keys, shell.instruments)
    requests, found = [request], list[Any]()
    for one in requests:
        reported = client.reports(await shell.ask(one))
        found += reported
        requests += [page.request for page in reported if isinstance(page, PageNeeded)]
    return found


@pytest.mark.parametrize("exchange_id", SYMBOLS)
async def test_orders_and_the_account(served: Served, exchange_id: str) -> None:
    sim = served.simulation.exchange(exchange_id)
    _, name = SYMBOLS[exchange_id]
    async with shell_of(served, exchange_id) as shell:
        client = shell.exchange.order_client(shell.keys, shell.instruments)
        account = shell.exchange.account_feed(shell.keys, shell.instruments)
        for request in account.opening(now()):
            account.answer(await shell.ask(request), now())
        async with shell.following(account, account.subscriptions(now())):
            for request in account.resync(now() - 60_000_000, now()):
                answers = account.answer(await shell.ask(request), now())
                assert not any(isinstance(each, Undecodable) for each in answers)
                shell.events.extend(answers)
            _, ask = sim.top(name)
            step = sim.listings[name].tick * sim.listings[name].stride
            high, low = round(ask * Decimal("1.01") / step) * step, round(ask * Decimal("0.97") / step) * step
            bought = placement(shell, Direction.BUY, "0.01", high, TimeInForce.IOC, 1)
            took = await decided(shell, bought, client.place(bought, now()))
            rests = placement(shell, Direction.BUY, "0.002", low, TimeInForce.POST_ONLY, 2)
            stands = await decided(shell, rests, client.place(rests, now()))
            assert isinstance(stands, Ack)
            number = stands.report.exchange_order_id
            by_number = client.query(rests.instrument, rests.client_order_id, now(), number)
            numbered = client.outcome(await shell.ask(by_number))
            asked = await queried(shell, rests)
            known = await queried(shell, bought)
            opened = await listed(shell, client.open_orders(now()))
            gone = await decided(shell, rests, client.cancel(rests.instrument, rests.client_order_id, now()))
            again = client.outcome(await shell.ask(client.cancel(rests.instrument, rests.client_order_id, now())))
            crossing = placement(shell, Direction.BUY, "0.002", high, TimeInForce.POST_ONLY, 3)
            refused = await decided(shell, crossing, client.place(crossing, now()))
            if exchange_id in LATER and isinstance(refused, Ack):
                refused = await queried(shell, crossing)
            await shell.until(lambda events: _is_reported(shell, bought.client_order_id))
            await shell.until(lambda events: _states(shell, rests.client_order_id)[-1:] == [OrderState.CANCELLED])
            if not account.pushes_figures:
                for request in account.figures(now()):
                    shell.events.extend(account.answer(await shell.ask(request), now()))
    order = sim.find(None, bought.client_order_id)
    assert isinstance(took, Ack)
    assert isinstance(known, Ack)
    traded = known if exchange_id in LATER else took
    assert (traded.report.state, traded.report.filled_quantity) == (OrderState.FILLED, order.filled)
    named = traded if exchange_id != "binanceusdm" else known  # USDⓈ-M answers an order without what it traded at
    assert named.report.average_price == pytest.approx(order.average_price, abs=step)
    assert not took.report.filled_quantity or took.report.average_price is None or took.report.average_price > 0
    assert isinstance(numbered, Ack)
    assert numbered.report.client_order_id == rests.client_order_id
    assert not stands.report.state.final
    assert isinstance(asked, Ack)
    assert asked.report.exchange_order_id == stands.report.exchange_order_id
    assert [each.client_order_id for each in opened if isinstance(each, OrderReport)] == [rests.client_order_id]
    assert isinstance(gone, Ack)
    assert isinstance(again, NotThere | Reject)
    is_refused_later = isinstance(refused, Ack) and refused.report.state is OrderState.REJECTED
    assert isinstance(refused, Reject) or is_refused_later
    _check_fills(shell, sim, bought.client_order_id)
    _check_money(shell, sim, exchange_id)
    assert shell.of(Undecodable) == []


@pytest.mark.parametrize("exchange_id", SYMBOLS)
async def test_a_fill_is_found_from_long_before_it(served: Served, exchange_id: str) -> None:
    _, ask = served.simulation.exchange(exchange_id).top(SYMBOLS[exchange_id][1])
    async with shell_of(served, exchange_id) as shell:
        client, instrument = shell.exchange.order_client(shell.keys, shell.instruments), shell.instrument()
        bound = Decimal(round(ask * Decimal("1.01")))
        bought = placement(shell, Direction.BUY, "0.01", bound, TimeInForce.IOC, 1)
        assert isinstance(await decided(shell, bought, client.place(bought, now())), Ack)
        requests, found = [client.fills_since(instrument, now() - 20 * 86_400_000_000, now())], list[Fill]()
        for request in requests:
            reported = client.reports(await shell.ask(request))
            found += [one for one in reported if isinstance(one, Fill)]
            requests += [one.request for one in reported if isinstance(one, PageNeeded)]
    assert sum(one.quantity for one in {one.trade_id: one for one in found}.values()) == Decimal("0.01")


def _is_reported(shell: Shell, client_id: str) -> bool:
    return sum((fill.quantity for fill in _fills_of(shell, client_id)), Decimal(0)) == Decimal("0.01")


def _fills_of(shell: Shell, client_id: str) -> list[Fill]:
    """Where fills do not name our id, they name the exchange's, which a report gives."""
    numbers = {one.exchange_order_id for one in shell.of(OrderReport) if one.client_order_id == client_id}
    return [one for one in shell.of(Fill) if one.client_order_id == client_id or one.exchange_order_id in numbers]


def _states(shell: Shell, client_id: str) -> list[OrderState]:
    return [report.state for report in shell.of(OrderReport) if report.client_order_id == client_id]


def _check_fills(shell: Shell, sim: Any, client_id: str) -> None:
    meant = sim.find(None, client_id).fills
    got = _fills_of(shell, client_id)
    assert len(got) == len(meant)
    for parsed, fill in zip(got, meant, strict=True):
        assert (parsed.price, parsed.quantity, parsed.side.value) == (fill.price, fill.quantity, fill.side)
        assert parsed.fee == pytest.approx(fill.fee, abs=Decimal("1e-6"))
        assert (parsed.fee_asset, parsed.liquidity.value) == (fill.fee_asset, "taker")


def _check_money(shell: Shell, sim: Any, exchange_id: str) -> None:
    balances: dict[str, Balance] = {balance.asset: balance for balance in shell.of(Balance)}
    if exchange_id in SPOT:
        for asset in ("BTC", "USDT"):
            assert balances[asset].total == pytest.approx(sim.spot.of(asset).total, abs=Decimal("1e-7"))
        return
    if exchange_id == "binanceusdm":
        assert balances["USDT"].total == pytest.approx(sim.perpetual.wallet["USDT"], abs=Decimal("1e-7"))
        assert shell.of(Position)[-1].quantity == Decimal("0.01")
    assert not any(isinstance(event, Ignored) and event.kind == "error" for event in shell.events)

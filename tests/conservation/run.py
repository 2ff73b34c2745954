"""One seeded run: the simulator with its own clock, traded through the adapters only, without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any, Final

import aiohttp
import msgspec
import yarl
from aiohttp import web
from msgspec import Struct

from neuroflux.domain import (
    Balance,
    Fill,
    Instrument,
    InstrumentKind,
    OrderReport,
    OrderType,
    Placement,
    Position,
    Side,
    TimeInForce,
)
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.orders import FundingEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.server import application, simulation_of
from tests.conservation.ledger import ZERO, Held, Name, expected
from tests.faults import NEED_A_POSITION, Parameters, faults

TRADED: Final = {
    "binance": {"BTC/USDC": "0.002", "ETH/USDT": "0.03", "SOL/USDC": "0.5", "PEPE/USDT": "3000000"},
    "binanceusdm": {"BTC/USDT:USDT": "0.004", "SOL/USDC:USDC": "1", "1000PEPE/USDT:USDT": "3000"},
    "hyperliquid": {"ETH/USDC:USDC": "0.05", "SOL/USDC:USDC": "1", "KPEPE/USDC:USDC": "3000", "HYPE/USDC": "1"},
    "okx": {"BTC/USDT": "0.002", "ETH/EUR": "0.03", "SOL/USDT:USDT": "1", "ETH/USDT:USDT": "0.05"},
    "bybit": {"BTC/USDT": "0.002", "ETH/EUR": "0.03", "SOL/USDT:USDT": "1", "DOGE/USDT:USDT": "500"},
    "coinbase": {"BTC/USD": "0.002", "ETH/EUR": "0.03", "SOL/USDT": "0.5", "DOGE/USD": "500"},
    "kraken": {"BTC/USD": "0.002", "ETH/EUR": "0.03", "SOL/USD": "0.5", "DOGE/USD": "500"},
}
"""Quantities of one order, in units of the exchange's instrument, by symbol and exchange."""
EXCHANGES: Final = tuple(TRADED)
STEPS: Final = 40
STEPS_A_SAMPLE: Final = 8
START: Final = 1_800_000_000 // 28_800 * 28_800 + 28_800 - 60
"""Seconds: a minute before every exchange settles funding."""
SECONDS_A_STEP: Final = 4
DROPPED: Final = {"accept_then_timeout", "latency", "mute", "skew"}
"""Faults that need real time: they don't work with a simulated clock, or leave a request unanswered."""
FLOWS: Final = ("transfer", "unknown_asset")
_LAST_DIGIT: Final = Decimal("1e-8")


class Clock:
    """A clock that moves only when it is set; seconds since the epoch."""

    def __init__(self) -> None:
        self.seconds = float(START)

    def __call__(self) -> float:
        return self.seconds

    @property
    def micros(self) -> int:
        return int(self.seconds * 1_000_000)


class Outcome(Struct, frozen=True):
    """``faults`` lists each broken law, with both sides."""

    seed: int
    fills: int
    funded: int
    samples: int
    faults: list[str]


class Account:
    """One exchange's account as its adapter reads it."""

    def __init__(self, exchange_id: str, simulation: Simulation, clock: Clock, http: aiohttp.ClientSession, base: str):
        account = simulation.dialects[exchange_id].account().entries()[-1]  # of the key with the widest limits
        self.id, self.clock, self._http, self._base = exchange_id, clock, http, base
        self.exchange = exchange_of(exchange_id)
        self.keys = Keys(account.address or account.key, account.secret, passphrase=account.passphrase)
        self.instruments: dict[str, Instrument] = {}
        self.balances: dict[str, Balance] = {}
        self.positions: dict[str, Position] = {}
        self.fills: dict[tuple[str, str, str, Side], Fill] = {}
        self.placed: list[tuple[Instrument, str]] = []
        self._number = 0

    async def open(self) -> None:
        answers = [await self.ask(one) for one in self.exchange.instruments_requests()]
        listed = self.exchange.listing(answers).instruments
        self.instruments = {one.symbol: one for one in listed}
        self._order_client = self.exchange.order_client(self.keys, listed)
        self._feed = self.exchange.account_feed(self.keys, listed)

    async def ask(self, request: Request) -> Answer:
        url, made = yarl.URL(self._base + request.path, encoded=True), request.signed(self.clock.micros)
        sent = self._http.request(made.method, url, data=made.body or None, headers=dict(made.headers))
        async with sent as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(request, answer.status, await answer.read(), headers)

    async def place(self, random: Random, symbol: str, top: tuple[Decimal, Decimal]) -> None:
        """An order with a random side; its answer is ignored, since fills are queried."""
        instrument, quantity = self.instruments[symbol], TRADED[self.id][symbol]
        side = random.choice((Side.BUY, Side.SELL))
        rests = random.random() < 0.4
        offset = Decimal("0.0005") if rests else Decimal("-0.01")
        bid, ask = top
        price = bid * (1 - offset) if side is Side.BUY else ask * (1 + offset)
        self._number += 1
        client_id = self._order_client.client_order_id(f"order-{self._number}", 0, 0)
        force, kind = (TimeInForce.GTC, OrderType.LIMIT) if rests else (TimeInForce.IOC, OrderType.MARKET)
        fitted = fitting(instrument, price)
        placement = Placement(instrument, client_id, side, kind, Decimal(quantity), fitted, force)
        await self.ask(self._order_client.place(placement, self.clock.micros))
        self.placed.append((instrument, client_id))

    async def cancel(self, random: Random) -> None:
        if self.placed:
            instrument, client_id = random.choice(self.placed)
            await self.ask(self._order_client.cancel(instrument, client_id, self.clock.micros))

    async def read(self, since: int) -> None:
        """Read balances, positions and all fills since then, every list to its end."""
        for request in self._feed.resync(since, self.clock.micros):
            await self._take(request, self._feed)
        for symbol in TRADED[self.id]:
            request = self._order_client.fills_since(self.instruments[symbol], since, self.clock.micros)
            await self._take(request, self._order_client)

    async def _take(self, request: Request, reader: Any) -> None:
        answer = await self.ask(request)
        known = reader is self._order_client
        events = reader.reports(answer) if known else reader.answer(answer, self.clock.micros)
        for event in events:
            match event:
                case PageNeeded():
                    await self._take(event.request, reader)
                case Balance():
                    self.balances[called(event.asset)] = event
                case Position():
                    self.positions[event.symbol] = event
                case Fill():
                    self.fills[event.identity] = event
                case OrderReport():
                    pass


def called(asset: str) -> str:
    """The exchange's name: Hyperliquid reports an unknown token with its index appended."""
    return asset.partition("#")[0]


def fitting(instrument: Instrument, price: Decimal) -> Decimal:
    """Rounded down to a price that the exchange accepts."""
    if not instrument.price_significant_figures:
        return price // instrument.tick_size * instrument.tick_size
    shown = Decimal(f"{price:.{instrument.price_significant_figures - 1}e}")
    return round(shown, instrument.price_decimals)


class Run:
    """One run on its own simulation."""

    def __init__(self, seed: int, simulation: Simulation, clock: Clock, accounts: Sequence[Account]) -> None:
        self._seed, self._random = seed, Random(f"conservation {seed}")
        self.simulation, self._clock, self.accounts = simulation, clock, accounts
        self._funded: list[tuple[Name, Decimal]] = []
        self._flowed: list[tuple[Name, Decimal]] = []
        self._faults = [
            one for one in faults(modes=False) if one["fault"] not in DROPPED and one["exchange"] in EXCHANGES
        ]
        self.broken: list[str] = []
        for exchange_id in EXCHANGES:
            simulation.exchange(exchange_id).listeners.append(self._funding_listener(exchange_id))

    def _funding_listener(self, exchange_id: str) -> Any:
        def listener(event: object) -> None:
            if isinstance(event, FundingEvent):
                self._funded.append(((exchange_id, event.listing.quote), event.amount))

        return listener

    async def perform(self) -> Outcome:
        for account in self.accounts:
            await account.read(self._clock.micros)
        before = {(one.id, asset): wallet(held) for one in self.accounts for asset, held in one.balances.items()}
        samples = 0
        for step in range(STEPS):
            await self._step()
            if step % STEPS_A_SAMPLE == STEPS_A_SAMPLE - 1:
                await self._sample(before)
                samples += 1
        count = sum(len(one.fills) for one in self.accounts)
        return Outcome(self._seed, count, len(self._funded), samples, self.broken)

    async def _step(self) -> None:
        account = self._random.choice(self.accounts)
        if self._random.random() < 0.3:
            self._strike(self._random.choice(self._faults))
        if self._random.random() < 0.2:
            await account.cancel(self._random)
        else:
            sim = self.simulation.exchange(account.id)
            symbol = self._random.choice(list(TRADED[account.id]))
            await account.place(self._random, symbol, sim.top(account.instruments[symbol].name))
        self._clock.seconds += SECONDS_A_STEP
        for _ in range(10):
            self.simulation.step()

    def _strike(self, fault: Parameters) -> None:
        """Inject an immediate fault once; one that needs a position waits for it."""
        sim = self.simulation.exchange(fault["exchange"])
        position = sim.perpetual.positions.get(fault.get("symbol", ""))
        if fault["fault"] in NEED_A_POSITION and (position is None or not position.quantity):
            return
        if fault["fault"] == "list":
            self._faults.remove(fault)
        self.simulation.faults.add(msgspec.json.encode(fault))
        if fault["fault"] in FLOWS:
            self._flowed.append(((fault["exchange"], fault["asset"]), Decimal(fault["amount"])))

    # ── the laws ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _sample(self, before: dict[Name, Decimal]) -> None:
        self.simulation.faults.clear()
        for account in self.accounts:
            await account.read(int(START * 1e6))
            self._as_the_exchange(account)
        self._conserved(before)

    def _as_the_exchange(self, account: Account) -> None:
        """Wallets and positions, and so the equity, equal the exchange's own at every sample."""
        sim = self.simulation.exchange(account.id)
        own = {asset: held.total for asset, held in sim.spot.balances.items()}
        for asset, amount in sim.perpetual.wallet.items():
            own[asset] = own.get(asset, ZERO) + amount
        for asset in {*own, *account.balances}:
            held = account.balances.get(asset)
            self._equal(f"{account.id} wallet {asset}", wallet(held) if held else ZERO, own.get(asset, ZERO))
        names = {one.name: one.symbol for one in account.instruments.values()}
        for name, position in sim.perpetual.positions.items():
            reported = account.positions.get(names[name])
            self._equal(f"{account.id} position {name}", reported.quantity if reported else ZERO, position.quantity)
            profit = reported.unrealised_pnl if reported else ZERO
            self._equal(f"{account.id} unrealised {name}", profit, round(sim.perpetual.unrealised(name), 8))

    def _conserved(self, before: dict[Name, Decimal]) -> None:
        """The changes of wallets and positions equal the effect of fills, fees, funding and flows."""
        instruments = {(one.id, symbol): found for one in self.accounts for symbol, found in one.instruments.items()}
        fills = [fill for one in self.accounts for fill in one.fills.values()]
        moved, held = expected(fills, instruments)
        for name, amount in (*self._funded, *self._flowed):
            moved[name] += amount
        after = {(one.id, asset): wallet(found) for one in self.accounts for asset, found in one.balances.items()}
        for name in {*before, *after, *moved}:
            change = after.get(name, ZERO) - before.get(name, ZERO)
            self._equal(f"change of {' '.join(name)}", change, moved.get(name, ZERO))
        for account in self.accounts:
            self._positions(account, held)

    def _positions(self, account: Account, held: dict[tuple[str, str], Held]) -> None:
        for symbol, position in account.positions.items():
            if account.instruments[symbol].kind is InstrumentKind.PERPETUAL:
                made = held[account.id, symbol].quantity
                self._equal(f"{account.id} {symbol} by its fills", position.quantity, made)

    def _equal(self, what: str, reported: Decimal, own: Decimal) -> None:
        if abs(reported - own) > _LAST_DIGIT:
            self.broken.append(f"{what}: {reported:f}, should be {own:f}")


def wallet(balance: Balance) -> Decimal:
    return balance.total - balance.unrealised_pnl


@asynccontextmanager
async def opened_run(seed: int) -> AsyncIterator[Run]:
    clock = Clock()
    simulation = simulation_of(seed, clock=clock)
    runner = web.AppRunner(application(simulation), access_log=None, shutdown_timeout=0.5)
    async with AsyncExitStack() as opened:
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        http = await opened.enter_async_context(aiohttp.ClientSession())
        base = f"http://{host}:{port}"
        accounts = [Account(name, simulation, clock, http, base + venues()[name].path) for name in EXCHANGES]
        for account in accounts:
            await account.open()
        yield Run(seed, simulation, clock, accounts)


async def conserve(seed: int) -> Outcome:
    """Run one seed."""
    async with opened_run(seed) as run:
        return await run.perform()

"""The readers of the exchanges' own answers, against the simulator's ledger: a second, independent parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec
import pytest

from neuroflux.errors import MalformedFrame, Refused, UsageError
from neuroflux.exchanges.catalogue import own_answers
from neuroflux.exchanges.coinbase import own_answers as coinbase
from neuroflux.exchanges.hyperliquid import own_answers as hyperliquid
from neuroflux.exchanges.kit.own_answers import OwnAccount, following
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.sim.core.orders import Fill as SimFill
from neuroflux.sim.kraken.order_texts import exec_id
from neuroflux.sim.server import simulation_of
from tests.conservation.run import EXCHANGES, START, Account, Run, called, opened_run

TOPS = {"hyperliquid": hyperliquid.TOPS, "coinbase": coinbase.TOPS}
"""How many are read where each is a request of its own."""
FILL_NAMES: Mapping[str, Callable[[SimFill], str]] = {"kraken": exec_id}
"""Where a fill is not named by the number of its trade."""
BEGAN = int(START * 1_000_000)


def _number(fill: SimFill) -> str:
    return str(fill.trade_id)


async def own_of(account: Account, names: Sequence[str]) -> OwnAccount:
    own = own_answers(account.id)
    now = account.clock.micros
    requests = [*own.account_requests(account.keys, now), *own.history_requests(account.keys, names, BEGAN, now)]
    return own.account([await account.ask(one) for one in requests])


def of(run: Run, exchange_id: str) -> Account:
    return next(one for one in run.accounts if one.id == exchange_id)


@pytest.mark.parametrize("exchange_id", EXCHANGES)
async def test_an_account_equals_the_exchange_s_ledger(exchange_id: str) -> None:
    async with opened_run(3) as run:
        await run.perform()
        account, sim = of(run, exchange_id), run.simulation.exchange(exchange_id)
        names = sorted({one.listing.symbol for one in sim.orders.values()})
        own = await own_of(account, names)
    wallets = {asset: one.total for asset, one in sim.spot.balances.items()}
    for asset, amount in sim.perpetual.wallet.items():
        wallets[asset] = wallets.get(asset, Decimal(0)) + amount
    balances = {called(asset): one for asset, one in own.balances.items()}
    for asset, amount in wallets.items():
        assert balances[asset].wallet == pytest.approx(amount, abs=Decimal("1e-7")), asset
    held = {name: one.quantity for name, one in sim.perpetual.positions.items() if one.quantity}
    assert {name: one.quantity for name, one in own.positions.items() if one.quantity} == held
    fill_name = FILL_NAMES.get(exchange_id, _number)
    meant = {(fill.listing.symbol, fill_name(fill), str(fill.side)): fill for fill in sim.fills()}
    assert own.fills.keys() == meant.keys()
    assert meant
    for place, fill in own.fills.items():
        theirs = meant[place]
        assert (fill.side, fill.price, fill.quantity) == (theirs.side, theirs.price, theirs.quantity)
        assert (fill.fee, fill.fee_asset, fill.order) == (
            theirs.fee,
            theirs.fee_asset,
            sim.venue.order_name(theirs.order_id),
        )
    placed = {client_id for _, client_id in account.placed}
    states = {"new": "open", "partially_filled": "open", "filled": "filled", "canceled": "ended", "expired": "ended"}
    for order in (one for one in sim.orders.values() if one.client_order_id in placed):
        found = own.orders[order.client_order_id]
        assert (found.number, found.filled, found.state) == (
            sim.venue.order_name(order.order_id),
            order.filled,
            states[order.state],
        )


@pytest.mark.parametrize("exchange_id", EXCHANGES)
async def test_free_funds_are_what_the_exchange_lets_an_account_spend(exchange_id: str) -> None:
    async with opened_run(3) as run:
        await run.perform()
        account, sim = of(run, exchange_id), run.simulation.exchange(exchange_id)
        own = await own_of(account, ())
    free = {asset: one.free for asset, one in sim.spot.balances.items()}
    for asset in sim.perpetual.wallet:
        free[asset] = free.get(asset, Decimal(0)) + sim.perpetual.available(asset)
    if sim.venue.shares_wallet:
        free = {asset: sim.available(asset, is_spot=True) for asset in sim.spot.balances}
    balances = {called(asset): one for asset, one in own.balances.items()}
    for asset, amount in free.items():
        assert balances[asset].free == pytest.approx(amount, abs=Decimal("1e-6")), asset


@pytest.mark.parametrize("exchange_id", EXCHANGES)
async def test_tops_are_those_of_the_books(exchange_id: str) -> None:
    async with opened_run(3) as run:
        account, sim = of(run, exchange_id), run.simulation.exchange(exchange_id)
        own, names = own_answers(exchange_id), [one.name for one in account.instruments.values() if one.active]
        tops = own.tops([await account.ask(one) for one in own.top_requests(names)])
    asked = names[: TOPS.get(exchange_id)]
    assert tops.keys() >= set(asked)
    for name in asked:
        assert (tops[name].bid, tops[name].ask) == sim.top(name)


@pytest.mark.parametrize("exchange_id", EXCHANGES)
def test_an_invalid_answer_raises_our_error(exchange_id: str) -> None:
    own, account = own_answers(exchange_id), simulation_of(1).dialects[exchange_id].account()
    keys = Keys(account.address or account.key, account.secret, passphrase=account.passphrase)
    tags = {one.tag for one in (*own.account_requests(keys, BEGAN), *own.history_requests(keys, (), BEGAN, BEGAN))}
    refused = b'{"code":-2015,"msg":"Invalid API-key"}'
    with pytest.raises(Refused, match="HTTP 401"):
        own.account([Answer(Request("GET", "/", tag=tag), 401, refused) for tag in tags])
    with pytest.raises(Refused, match="HTTP 401"):
        following(own, keys, [Answer(Request("GET", "/?limit=1", tag=tag), 401, refused) for tag in tags], BEGAN)
    for body in (b"nonsense", b"[]", b"{}", b'{"balances":[{}],"assets":[{}]}', b"null", b"7"):
        with pytest.raises((MalformedFrame, Refused)):
            own.account([Answer(Request("GET", "/", tag=tag), 200, body) for tag in tags])


def test_a_unified_account_is_not_counted_twice() -> None:
    """Hyperliquid's unified account: the collateral is in the spot state and in the account value."""
    own = own_answers("hyperliquid")
    spot = {"balances": [{"coin": "USDC", "token": 0, "total": "1000", "hold": "200"}]}
    sums = {"accountValue": "1000", "totalNtlPos": "3000", "totalMarginUsed": "200"}
    perpetuals = {"marginSummary": sums, "withdrawable": "700", "assetPositions": []}
    bodies = {"mode": "unifiedAccount", "spot": spot, "perpetuals": perpetuals}
    answers = [Answer(Request("POST", "/info", tag=tag), 200, msgspec.json.encode(one)) for tag, one in bodies.items()]
    found = own.account(answers).balances["USDC"]
    assert (found.wallet, found.free) == (Decimal(1000), Decimal(800))
    answers[0] = Answer(answers[0].request, 200, b'"default"')
    two = own.account(answers).balances["USDC"]
    assert (two.wallet, two.free) == (Decimal(2000), Decimal(800 + 700 + 100))
    none = msgspec.json.encode(perpetuals | {"withdrawable": "0"})
    assert own.account([*answers[:2], Answer(answers[2].request, 200, none)]).balances["USDC"].free is None


def test_outcome_shares_and_a_negative_hold_are_read() -> None:
    """HIP-4: a row without a token; portfolio margin: what may be borrowed is subtracted from the hold."""
    shares = {"coin": "+120", "total": "100", "hold": "0"}
    dollars = {"coin": "USDC", "token": 0, "total": "100", "hold": "-500"}
    bodies = {"mode": "portfolioMargin", "spot": {"balances": [shares, dollars]}, "perpetuals": {"assetPositions": []}}
    answers = [Answer(Request("POST", "/info", tag=tag), 200, msgspec.json.encode(one)) for tag, one in bodies.items()]
    found = own_answers("hyperliquid").account(answers).balances
    assert (found["+120"].wallet, found["USDC"].wallet, found["USDC"].free) == (Decimal(100), Decimal(100), None)


def test_an_unknown_exchange_has_no_own_answers() -> None:
    with pytest.raises(UsageError, match="nosuch"):
        own_answers("nosuch")

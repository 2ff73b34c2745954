"""The comparison finds each kind of fault, made by hand, and none in a clean run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    Cause,
    CommandKind,
    Fill,
    Instrument,
    InstrumentKind,
    Liquidity,
    OrderCommand,
    OrderEvent,
    OrderState,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.state import Attempt, Leg, Order, Phase
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.sim.core.faults import NAMES
from tests.conftest import THREE
from tests.faults import MODES
from tests.torture.compare import Accepted, Left, compare, summary
from tests.torture.plan import LEFT_OUT, Disturbing, Killing, Placing, plan

ONE = Decimal(1)
NFX = Instrument(
    exchange="a", symbol="X/USDC", market="X/USD", name="X", base="X", quote="USDC", kind=InstrumentKind.SPOT
)
COMMAND = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="X/USD", quantity=ONE)
FILL = Fill("o", "a", "X/USDC", "c1", "7", "t1", Side.BUY, Decimal(100), ONE, Decimal(0), "USDC", Liquidity.TAKER, 5)
LEG = Leg(NFX, Side.BUY, ONE, Decimal(101), TimeInForce.IOC, 1.0, 0)
ORDER = Order(
    command=COMMAND,
    source=Cause("orders.commands", 0, 0),
    received_at=1,
    state=OrderState.FILLED,
    legs=(LEG,),
    attempts=(Attempt(0, 0, Phase.FILLED, "c1", "7", reported=ONE, fills=(FILL,)),),
)
WHOLE = OrderEvent(
    "o", OrderState.FILLED, "a", "X/USDC", "", "7", Side.BUY, ONE, ONE, Decimal(100), (), "", 6, naked_ms=1.0
)
PART = replace(WHOLE, client_order_id="c1", event_time=5)
THEIRS = Accepted("a", "X", "c1", "buy", ONE, ONE, "filled")
PLACE = ("orders.events", 0, 1)
CLEAN = Left(
    [COMMAND], [THEIRS], {"o": (ORDER, True)}, [PART, WHOLE], [FILL], frozenset(), frozenset({PLACE}), Counter([PLACE])
)


def pair(left: Left) -> Left:
    """A pair of which only one side was filled."""
    command = replace(COMMAND, kind=CommandKind.PAIR)
    return replace(left, journal={"o": (replace(ORDER, command=command), True)}, commands=[command])


def test_a_clean_run_has_no_fault() -> None:
    assert compare(CLEAN).faults == {}
    assert set(summary([compare(CLEAN)]).values()) == {0}


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("sent_twice", lambda x: replace(x, accepted=[THEIRS, replace(THEIRS, filled_quantity=Decimal(0))])),
        ("lost", lambda x: replace(x, accepted=[THEIRS, replace(THEIRS, client_order_id="?", filled_quantity=0)])),
        ("lost", lambda x: replace(x, commands=[COMMAND, replace(COMMAND, order_id="gone")])),
        ("unknown", lambda x: replace(x, journal={"o": (ORDER, False)})),
        ("unknown", lambda x: replace(x, events=[PART])),
        ("unknown", lambda x: replace(x, accepted=[replace(THEIRS, state="new")])),
        ("fills_twice", lambda x: replace(x, fills=[FILL, FILL])),
        ("fills_twice", lambda x: replace(x, events=[PART, PART, WHOLE])),
        ("fills_missing", lambda x: replace(x, fills=[])),
        ("fills_missing", lambda x: replace(x, events=[replace(PART, filled_quantity=Decimal(0)), WHOLE])),
        ("exposed", pair),
        ("exposed", lambda x: replace(pair(x), events=[PART, replace(WHOLE, naked_ms=31_000.0)])),
        ("not_stored", lambda x: replace(x, stored=Counter())),
        ("not_stored", lambda x: replace(x, stored=Counter([PLACE, PLACE]))),
    ],
)
def test_each_fault_is_found(kind: str, spoil: Callable[[Left], Left]) -> None:
    assert kind in compare(spoil(CLEAN)).faults


def test_a_plan_is_drawn_from_its_seed_alone() -> None:
    assert plan(7, THREE) == plan(7, THREE)
    assert plan(7, THREE) != plan(8, THREE)
    acts = plan(7, THREE)
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    assert sum(isinstance(act, Placing) for act in acts) == 200


def test_every_fault_of_the_simulator_is_tried_but_those_that_it_may_refuse() -> None:
    struck = {
        act.fault["fault"] for seed in range(400) for act in plan(seed, EXCHANGE_IDS, 20) if isinstance(act, Disturbing)
    }
    assert struck == set(NAMES) - set(LEFT_OUT) - set(MODES)


def test_kills_cover_all_services_and_pauses() -> None:
    kills = [act for seed in range(100) for act in plan(seed, THREE, 20) if isinstance(act, Killing)]
    assert {one.service for one in kills} == {"execution", "account", "market", "streams", "warehouse"}
    assert any(one.pause for one in kills)

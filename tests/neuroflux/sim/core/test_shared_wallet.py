"""An account whose spot balances are the collateral of its perpetuals, and rebates in what was paid."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from neuroflux.sim.core.coins import Kind, Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.orders import Ask, Fill, OrderEvent, Reason, Rejected
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.core.world import World
from tests.neuroflux.sim.core.test_exchange import NOW, Script


class Rebate(Script):
    """Makers are paid a tenth of a per cent."""

    def setting(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        return Fault(exchange, "fees", maker=D("-0.001")) if fault == "fees" else None


def _listing(symbol: str, kind: Kind) -> Listing:
    fees, steps = (D("0.001"), D("0.001")), (D("0.1"), D("0.001"))
    return Listing("one", symbol, kind, "BTC", "BTC", "USDT", *steps, 65000.0, *fees, D(5), max_leverage=10)


def _exchange(faults: Script, *, rebates_in_paid: bool = False) -> SimExchange:
    venue = Venue(
        id="one",
        path="/one",
        listings=(_listing("SPOT", "spot"), _listing("SWAP", "perpetual")),
        price_lag=0.2,
        spot_balances={"USDT": D(10_000), "BTC": D(1)},
        shares_wallet=True,
        funding_hours=8,
        rebates_in_paid=rebates_in_paid,
    )
    return World({"one": venue}, 3, faults, NOW).exchanges["one"]


def test_margin_can_not_be_spent_and_what_is_locked_backs_nothing() -> None:
    exchange = _exchange(Script())
    exchange.place(Ask("SWAP", "buy", D(1)), NOW)
    margin = exchange.perpetual.used("USDT")
    assert (
        exchange.available("USDT", is_spot=True)
        == exchange.perpetual.left("USDT")
        < exchange.spot.of("USDT").free - margin / 2
    )
    with pytest.raises(Rejected) as refused:
        exchange.place(Ask("SPOT", "buy", value=D(6_000)), NOW)
    assert refused.value.reason is Reason.BALANCE
    before = exchange.perpetual.left("USDT")
    exchange.place(Ask("SPOT", "buy", D("0.04"), D(50_000)), NOW)
    assert exchange.perpetual.left("USDT") == before - 2_000


def test_profit_and_fees_of_perpetuals_change_the_spot_balance() -> None:
    exchange, fills = _exchange(Script()), list[Fill]()
    exchange.listeners.append(
        lambda event: fills.append(event.fill) if isinstance(event, OrderEvent) and event.fill else None
    )
    exchange.place(Ask("SWAP", "buy", D("0.1")), NOW)
    exchange.place(Ask("SWAP", "sell", D("0.1")), NOW)
    assert list(exchange.perpetual.wallet) == []
    assert exchange.spot.of("USDT").total == 10_000 + sum(fill.profit - fill.fee for fill in fills)


@pytest.mark.parametrize(("is_paid", "asset"), [(True, "USDT"), (False, "BTC")])
def test_a_rebate_of_a_purchase(is_paid: bool, asset: str) -> None:
    exchange = _exchange(Rebate(), rebates_in_paid=is_paid)
    bid = exchange.top("SPOT")[1] - D("0.1")
    order = exchange.place(Ask("SPOT", "buy", D("0.001"), bid), NOW)
    exchange.place(Ask("SPOT", "sell", D("0.001"), bid), NOW)
    (fill,) = order.fills
    assert (fill.fee_asset, fill.fee < 0) == (asset, True)
    if is_paid:
        assert fill.fee == pytest.approx(-bid * D("0.000001"))

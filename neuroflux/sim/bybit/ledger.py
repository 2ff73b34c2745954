"""Movements of money: the account's log, transfers between its wallets, deposits and withdrawals.

Source: https://bybit-exchange.github.io/docs/v5/account/transaction-log, …/v5/asset/transfer/create-inter-transfer and
…/v5/asset/deposit/deposit-record
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from neuroflux.sim.bybit.names import id_text
from neuroflux.sim.bybit.rows import link_of
from neuroflux.sim.bybit.venue import BYBIT, VENUE, category_of, name_of
from neuroflux.sim.bybit.wire import (
    ApiError,
    Json,
    Params,
    bad,
    choice,
    decimal_of,
    integer_of,
    page,
    plain,
    required,
    text_of,
)
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import Fill, FundingEvent, TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.pages import rows_of_a_page

DAY_MS = 86_400_000
_WALLETS = ("UNIFIED", "FUND")
_SAVED = {"USDT": Decimal(500)}
"""What the funding wallet has at the start; nothing there can be traded with."""
Change = tuple[str, Decimal]
"""An asset, and by how much there is more of it."""


class Ledger:
    """Keeps the funding wallet and the transfers; the log is made of the exchange's own events."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(BYBIT)
        self._saved = dict(_SAVED)
        self._transfers: dict[str, Json] = {}
        self._inside: set[int] = set()  # the times of the transfers between the two wallets

    # ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, params: Params, now: int) -> Json:
        """The newest first, of a day where no time is named. A trade on spot has a row for each of its coins."""
        start, end = integer_of(params, "startTime", 0), integer_of(params, "endTime", 0)
        end = end or (start + DAY_MS if start else now // 1000)
        start = start or end - DAY_MS
        if not 0 <= end - start <= 7 * DAY_MS:
            raise bad("startTime")
        wanted = {name: text_of(params, name) for name in ("category", "currency", "type")}
        rows = [row for row in self._rows() if start <= int(row["transactionTime"]) <= end]
        rows = [row for row in rows if all(value in ("", row[name]) for name, value in wanted.items())]
        limit = rows_of_a_page(self._simulation.faults, BYBIT, max(1, min(integer_of(params, "limit", 20), 50)))
        found, cursor = page([(row["id"], row) for row in rows[::-1]], params, limit)
        return {"list": found, "nextPageCursor": cursor}

    def _rows(self) -> Iterator[Json]:
        """The oldest first, each with the balance of its coin after it."""
        balances = defaultdict(Decimal, VENUE.spot_balances)
        for number, (time, asset, row) in enumerate(self._moves()):
            balances[asset] += Decimal(row["change"])
            where = {"id": f"592324_{asset}_{number}", "currency": asset, "transactionTime": str(time // 1000)}
            yield {**where, **row, "cashBalance": plain(balances[asset]), "bonusChange": "", "extraFees": ""}

    def _moves(self) -> list[tuple[int, str, Json]]:
        moves = [one for fill in self._exchange.fills() for one in self._of_fill(fill)]
        moved = self._exchange.moved
        moves += [_of_funding(one) if isinstance(one, FundingEvent) else _of_transfer(one) for one in moved]
        return sorted(moves, key=lambda one: one[0])

    def _of_fill(self, fill: Fill) -> Iterator[tuple[int, str, Json]]:
        order, listing = self._exchange.orders[fill.order_id], fill.listing
        names = {
            "symbol": name_of(listing),
            "category": category_of(listing),
            "side": fill.side.capitalize(),
            "type": "TRADE",
            "orderId": id_text(listing, fill.order_id),
            "orderLinkId": link_of(order),
            "tradeId": id_text(listing, fill.trade_id, "trade"),
            "tradePrice": plain(fill.price, 18),
            "qty": plain(fill.quantity),
            "size": "" if listing.kind == "spot" else plain(fill.quantity),
            "funding": "",
            "feeRate": "",
        }
        for asset, flow in _flows(fill):
            fee = fill.fee if asset == fill.fee_asset else ZERO
            money = {"cashFlow": plain(flow), "fee": plain(fee), "change": plain(flow - fee)}
            yield fill.time, asset, {**names, **money}

    # ── transfers ────────────────────────────────────────────────────────────────────────────────────────────────

    def transfer(self, params: Params, now: int) -> Json:
        """Between the funding wallet and the unified one."""
        number, asset = required(params, "transferId"), required(params, "coin")
        amount = decimal_of(params, "amount", "")
        source, target = (choice(params, f"{way}AccountType", _WALLETS) for way in ("from", "to"))
        if number in self._transfers:
            raise ApiError(131214, "TransferId exist")
        if source == target:
            raise ApiError(131211, "fromAccountType can't be the same as toAccountType")
        free = self._exchange.available(asset, is_spot=True) if source == "UNIFIED" else self._saved.get(asset, ZERO)
        if not 0 < amount <= free:
            raise ApiError(131212, "Insufficient balance")
        signed = amount if target == "UNIFIED" else -amount
        self._saved[asset] = self._saved.get(asset, ZERO) - signed
        self._inside.add(now)
        self._exchange.transfer(asset, signed, now, is_spot=True)
        names = {"transferId": number, "coin": asset, "amount": plain(amount), "timestamp": str(now // 1000)}
        wallets = {"fromAccountType": source, "toAccountType": target, "status": "SUCCESS"}
        self._transfers[number] = {**names, **wallets}
        return {"transferId": number, "status": "SUCCESS"}

    def transfers(self, params: Params, now: int) -> Json:
        wanted = {name: text_of(params, name) for name in ("transferId", "coin", "status")}
        rows = list(self._transfers.values())[::-1]
        rows = [row for row in rows if all(value in ("", row[name]) for name, value in wanted.items())]
        found, cursor = page([(row["transferId"], row) for row in rows], params, integer_of(params, "limit", 20))
        return {"list": found, "nextPageCursor": cursor}

    def saved(self, params: Params, now: int) -> Json:
        """The balances of one wallet."""
        wallet, coins = choice(params, "accountType", _WALLETS), text_of(params, "coin")
        amounts = {asset: one.free for asset, one in self._exchange.spot.balances.items()}
        amounts = amounts if wallet == "UNIFIED" else self._saved
        rows = [
            {"coin": asset, "walletBalance": plain(amount), "transferBalance": plain(amount), "bonus": ""}
            for asset, amount in amounts.items()
            if not coins or asset in coins.split(",")
        ]
        return {"accountType": wallet, "memberId": "24617703", "balance": rows}

    def deposits(self, params: Params, now: int) -> Json:
        rows = [_chain_row(event, "successAt") for event in self._from_outside() if event.amount > 0]
        return {"rows": rows[::-1], "nextPageCursor": ""}

    def withdrawals(self, params: Params, now: int) -> Json:
        rows = [_chain_row(event, "updateTime") for event in self._from_outside() if event.amount < 0]
        return {"rows": rows[::-1], "nextPageCursor": ""}

    def _from_outside(self) -> list[TransferEvent]:
        moved = [event for event in self._exchange.moved if isinstance(event, TransferEvent)]
        return [event for event in moved if event.time not in self._inside]

    def coins(self, params: Params, now: int) -> Json:
        chain = {
            "chain": "ETH",
            "chainType": "Ethereum",
            "chainDeposit": "1",
            "chainWithdraw": "1",
            "confirmation": "6",
        }
        chain |= {"withdrawFee": "1", "depositMin": "0", "withdrawMin": "1", "minAccuracy": "8"}
        wanted = text_of(params, "coin")
        found = [one for one in self._exchange.spot.balances if wanted in ("", one)]
        return {"rows": [{"name": one, "coin": one, "remainAmount": "1000000", "chains": [chain]} for one in found]}


def _flows(fill: Fill) -> list[Change]:
    """What a fill moved before its fee, which may be paid in an asset of its own."""
    value, listing = fill.price * fill.quantity, fill.listing
    if listing.kind == "perpetual":
        flows = {listing.quote: fill.profit}
    else:
        sign = 1 if fill.side == "buy" else -1
        flows = {listing.base_asset: sign * fill.quantity, listing.quote: -sign * value}
    return list(({fill.fee_asset: ZERO} | flows).items())


def _row(kind: str, change: Decimal) -> Json:
    names = dict.fromkeys(("symbol", "category", "side", "orderId", "orderLinkId", "tradeId", "tradePrice"), "")
    return {**names, "type": kind, "qty": "", "size": "", "fee": "0", "feeRate": "", "change": plain(change)}


def _of_funding(event: FundingEvent) -> tuple[int, str, Json]:
    listing, side = event.listing, "Buy" if event.quantity > 0 else "Sell"
    row = _row("SETTLEMENT", event.amount) | {"symbol": name_of(listing), "category": "linear", "side": side}
    numbers = {"funding": plain(event.amount), "feeRate": plain(event.rate), "qty": plain(abs(event.quantity))}
    return event.time, listing.quote, {**row, **numbers, "cashFlow": "0"}


def _of_transfer(event: TransferEvent) -> tuple[int, str, Json]:
    kind = "TRANSFER_IN" if event.amount > 0 else "TRANSFER_OUT"
    return event.time, event.asset, {**_row(kind, event.amount), "cashFlow": plain(event.amount), "funding": ""}


def _chain_row(event: TransferEvent, time: str) -> Json:
    names = {"coin": event.asset, "chain": "ETH", "txID": f"0x{event.time:064x}", "toAddress": "0x" + "5" * 40}
    return {**names, "amount": plain(abs(event.amount)), "status": 3, time: str(event.time // 1000)}

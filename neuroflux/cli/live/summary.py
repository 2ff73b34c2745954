"""Summary of live trading: exchanges, accounts, addresses and limits, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table

from neuroflux.cli.live.accounts import LiveAccount

Row = tuple[str, str, str]
"""Subject, name and value."""

NO_KEYS = "no keys are set: prices only"
_MAY_WITHDRAW = {True: "ALLOWED", False: "not allowed", None: "not known"}


def rows(accounts: Iterable[LiveAccount], limits: Mapping[str, float]) -> list[Row]:
    """``limits`` are those of ``Settings.order_limits``."""
    return [row for one in accounts for row in _of_account(one)] + _of_limits(limits)


def _of_account(one: LiveAccount) -> list[Row]:
    rest, prices, private = one.addresses
    sockets = prices if prices == private else f"{prices} (prices), {private} (account)"
    return [
        (one.exchange, "mode", _mode(one)),
        ("", "account", one.account or NO_KEYS),
        *([("", "withdrawals", f"{_MAY_WITHDRAW[one.rights.withdraws]}: {one.rights.detail}")] if one.rights else []),
        ("", "REST", rest),
        ("", "WebSocket", sockets),
    ]


def _mode(one: LiveAccount) -> str:
    mode = "testnet" if one.testnet else "REAL EXCHANGE"
    return mode if one.is_own else f"{mode}, at addresses from the settings"


def _of_limits(limits: Mapping[str, float]) -> list[Row]:
    return [
        ("limits", "an order", f"{_usd(limits['max_notional_usd'])} at most (NEUROFLUX_MAX_NOTIONAL_USD)"),
        (
            "",
            "a day's loss",
            f"{_usd(limits['max_daily_loss_usd'])}, beyond which only hedges are sent (NEUROFLUX_MAX_DAILY_LOSS_USD)",
        ),
        ("", "an asset on an exchange", f"{_usd(limits['max_position_usd'])} at most (neuroflux/exchanges/config.py)"),
        ("", "orders", f"{limits['max_open_orders']:,.0f} open, {limits['max_orders_per_second']:,.0f} a second"),
        ("", "control.commands", "limits set there (leverage, max_leverage, weight_per_minute) apply too"),
    ]


def _usd(amount: float) -> str:
    return f"{amount:,.2f} USD"


def table(shown: Iterable[Row]) -> Table:
    made = Table(box=None, show_header=False)
    for _ in range(3):
        made.add_column(overflow="fold")
    for row in shown:
        made.add_row(*row)
    return made

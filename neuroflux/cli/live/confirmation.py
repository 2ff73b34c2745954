"""Nothing that may cost money starts before somebody has seen where it goes, and has said yes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from neuroflux.cli.live.accounts import LiveAccount
from neuroflux.cli.live.summary import rows, table
from neuroflux.errors import Refused, UsageError
from neuroflux.runtime.settings import Settings

WIDTH: Final = 120
"""Where there is no terminal that has one."""
NOT_INTERACTIVE: Final = "--trade sends orders to real exchanges: confirm it on a terminal, or say --yes"
UNCONFIRMED: Final = "not confirmed: nothing was started"


def check_confirmable(*, yes: bool) -> None:
    """Raises UsageError where nobody can be asked, and nobody has said yes."""
    if not yes and not sys.stdin.isatty():
        raise UsageError(NOT_INTERACTIVE)


def confirm(settings: Settings, accounts: Sequence[LiveAccount], *, yes: bool, allow_withdrawals: bool) -> None:
    """Show what is to be traded on, and ask, unless ``yes`` was said; raises Refused where it must not begin."""
    console = Console(stderr=True, markup=False, highlight=False, width=None if sys.stderr.isatty() else WIDTH)
    console.print(table(rows(accounts, settings.order_limits(live=True))))
    if not allow_withdrawals:
        check_withdrawals(accounts)
    if yes:
        return
    console.print("Type yes to send orders there:", end=" ")
    if sys.stdin.readline().strip() != "yes":
        raise Refused(UNCONFIRMED)


def check_withdrawals(accounts: Sequence[LiveAccount]) -> None:
    """Raises Refused for a key that is known to be let withdraw; a testnet has nothing to take away."""
    found = [one for one in accounts if one.rights and one.rights.withdraws and not one.testnet]
    if found:
        changes = "; ".join(f"{one.exchange}: {one.rights.detail}" for one in found if one.rights)
        raise Refused(f"a key that may withdraw is not traded with: {changes}; or say --allow-withdrawals")

"""``python -m producers market|account``: one stage, until it is told to stop."""

from __future__ import annotations

from neuroflux.stage import run_stage
from producers import account, market

run_stage("producers", {"market": market.main, "account": account.main})

"""``python -m producers market|account|capture|replay``: one stage, until it is stopped."""

from __future__ import annotations

from neuroflux.runtime.stage import run_stage
from producers import account, capture, market, replay

run_stage("producers", {"market": market.main, "account": account.main, "capture": capture.main, "replay": replay.main})

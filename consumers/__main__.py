"""``python -m consumers execution|warehouse``: one stage, until it is told to stop."""

from __future__ import annotations

from consumers import execution, warehouse
from neuroflux.stage import run_stage

run_stage("consumers", {"execution": execution.main, "warehouse": warehouse.main})

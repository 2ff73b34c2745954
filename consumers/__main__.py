"""``python -m consumers execution|warehouse``: runs one stage until it is stopped."""

from __future__ import annotations

from consumers.execution.stage import main as execution
from consumers.warehouse import main as warehouse
from neuroflux.runtime.stage import run_stage

run_stage("consumers", {"execution": execution, "warehouse": warehouse})

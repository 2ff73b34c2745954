"""``python -m streams``: one worker of all stream processors, until it is told to stop."""

from __future__ import annotations

from neuroflux.stage import run_stage
from streams.app import main

run_stage("streams", {"": main})

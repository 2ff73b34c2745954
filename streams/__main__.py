"""``python -m streams [replay]``: one worker of all stream processors, until it is stopped."""

from __future__ import annotations

from neuroflux.runtime.stage import run_stage
from streams import replay, worker

run_stage("streams", {"": worker.main, "replay": replay.main})

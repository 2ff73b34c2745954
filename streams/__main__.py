"""``python -m streams [replay]``: one worker of all stream processors, until it is told to stop."""

from __future__ import annotations

from neuroflux.stage import run_stage
from streams import app, replay

run_stage("streams", {"": app.main, "replay": replay.main})

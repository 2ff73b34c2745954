from pathlib import Path

import pytest

from neuroflux.errors import DiskFull, StackError
from neuroflux.runtime.settings import Settings
from neuroflux.stack.home import Lock, check_room, run_folder, save, saved
from neuroflux.stack.supervise.service import ServiceStatus, State


def test_one_supervisor_per_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first, second = Lock(settings), Lock(settings)
    assert second.holder() == 0
    first.take()
    with pytest.raises(StackError, match="already running"):
        second.take()
    assert second.holder() > 0
    first.release()
    assert second.holder() == 0
    second.take()
    second.release()


def test_a_saved_state_can_be_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert saved(settings).services == []
    run_folder(settings).mkdir()
    state = ServiceStatus("kafka", "127.0.0.1:9092", State.READY, 7, 1, "")
    save(settings, [state], ended_by="no space")
    assert saved(settings).services == [state]
    assert saved(settings).ended_by == "no space"


def test_too_little_disk_space_is_one_clear_line(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "yet", 1)
    with pytest.raises(DiskFull, match=r"MiB left under .*not.*; free some, or set NEUROFLUX_HOME"):
        check_room(tmp_path / "not" / "yet", 1 << 60)

"""Authentication at ClickHouse: the setting's user, else the login stored in the home for that address."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from neuroflux.clickhouse.login import login_path, make_login, with_login
from neuroflux.errors import UsageError
from neuroflux.runtime.settings import Settings


def test_a_login_is_created_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert with_login(settings) == settings.clickhouse
    make_login(settings)
    first = urlsplit(with_login(settings))
    assert (first.username, first.hostname, first.port, first.path) == ("neuroflux", "127.0.0.1", 9000, "/neuroflux")
    assert login_path(settings.home).stat().st_mode & 0o777 == 0o600
    make_login(settings)
    assert urlsplit(with_login(settings)) == first


def test_a_stack_that_moved_to_another_port_keeps_its_password(tmp_path: Path) -> None:
    before = Settings(home=tmp_path)
    make_login(before)
    after = Settings(home=tmp_path, clickhouse="clickhouse://127.0.0.1:9001/neuroflux")
    assert with_login(after) == after.clickhouse
    make_login(after)
    assert urlsplit(with_login(after)).port == 9001


def test_another_server_is_not_sent_the_password(tmp_path: Path) -> None:
    make_login(Settings(home=tmp_path))
    elsewhere = Settings(home=tmp_path, clickhouse="clickhouse://example.org:9000/neuroflux")
    assert with_login(elsewhere) == elsewhere.clickhouse


@pytest.mark.parametrize("url", ["clickhouse://me:secret@127.0.0.1:9000/neuroflux", "clickhouse://me@127.0.0.1:9000/x"])
def test_a_user_in_the_address_is_used(tmp_path: Path, url: str) -> None:
    make_login(Settings(home=tmp_path))
    assert with_login(Settings(home=tmp_path, clickhouse=url)) == url


def test_the_default_user_counts_as_no_user(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, clickhouse="clickhouse://default:@127.0.0.1:9000/neuroflux")
    make_login(settings)
    assert urlsplit(with_login(settings)).username == "neuroflux"


def test_a_login_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    make_login(settings)
    login_path(tmp_path).chmod(0o644)
    with pytest.raises(UsageError, match=r"clickhouse\.url"):
        with_login(settings)

"""The table of ACLs, and the private file of passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.records.topics import ALL, COMMANDS, CONTROL, DECISIONS, EVENTS, FAILOVER, FILLS, JOURNAL, MARKS
from neuroflux.runtime.credentials import credentials_path, make_credentials, read_credentials
from neuroflux.runtime.settings import load_settings
from neuroflux.stack.access import PRINCIPALS, TRADER, rights
from neuroflux.stack.environment import base, signing


def writers(topic: str) -> set[str]:
    return {one.principal for one in rights() if (one.operation, one.resource, one.name) == ("WRITE", "TOPIC", topic)}


def test_every_topic_has_its_writers_and_no_principal_writes_all() -> None:
    assert [topic for topic in ALL if not writers(topic.name)] == [MARKS], "a replay has a stack of its own"
    assert not writers("*")


def test_only_traders_write_commands_and_only_the_executor_writes_the_journal() -> None:
    assert [writers(topic.name) for topic in (COMMANDS, CONTROL, FAILOVER)] == [{TRADER}] * 3
    assert [writers(topic.name) for topic in (JOURNAL, EVENTS, DECISIONS, FILLS)] == [{"execution"}] * 4


def test_a_group_has_one_principal_and_no_principal_joins_all() -> None:
    joined = [(one.principal, one.name) for one in rights() if one.resource == "GROUP"]
    assert len({group for _, group in joined}) == len(joined)
    assert "*" not in {group for _, group in joined}


def test_passwords_are_created_once_and_private(tmp_path: Path) -> None:
    made = make_credentials(tmp_path, PRINCIPALS)
    assert set(made) == set(PRINCIPALS)
    assert len(set(made.values())) == len(PRINCIPALS)
    assert credentials_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert make_credentials(tmp_path, PRINCIPALS) == read_credentials(tmp_path) == made


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_credentials(tmp_path, PRINCIPALS)
    credentials_path(tmp_path).chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_credentials(tmp_path)


def test_an_env_file_with_secrets_must_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".env"
    file.write_text("NEUROFLUX_BINANCE_SECRET_KEY=\nNEUROFLUX_MARKETS=BTC/USD\n")
    file.chmod(0o644)
    assert load_settings().markets == ("BTC/USD",)
    file.write_text("NEUROFLUX_BINANCE_SECRET_KEY=s\n")
    with pytest.raises(UsageError, match="chmod 600"):
        load_settings()
    file.chmod(0o600)
    load_settings()


def test_a_reader_of_the_credentials_is_the_trader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_credentials(tmp_path, PRINCIPALS)
    settings = load_settings(home=tmp_path)
    assert (settings.kafka_user, settings.kafka_password.get_secret_value()) == (TRADER, made[TRADER])
    assert made[TRADER] not in repr(settings)
    monkeypatch.setenv("NEUROFLUX_KAFKA_USER", "market")
    assert load_settings(home=tmp_path).kafka_user == "market"


def test_a_child_does_not_inherit_the_login_of_its_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEUROFLUX_KAFKA_PASSWORD", "secret")
    assert "secret" not in base(load_settings(home=tmp_path)).values()
    assert "NEUROFLUX_KAFKA_USER" not in signing(load_settings(home=tmp_path))

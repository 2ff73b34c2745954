from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.runtime.credentials import make_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import PRINCIPALS, SETUP
from neuroflux.stack.servers.registry import access, environment, registry


def test_ids_are_on_disk_before_they_are_returned() -> None:
    variables = environment(Path("/home/registry"))
    assert variables["APICURIO_DATASOURCE_URL"] == "jdbc:h2:file:/home/registry/registry;WRITE_DELAY=0"


def test_the_management_port_is_not_clickhouses() -> None:
    assert environment(Path())["QUARKUS_MANAGEMENT_PORT"] == "0"


def test_the_address_is_that_of_the_setting(tmp_path: Path) -> None:
    service = registry(Settings(home=tmp_path, registry="http://127.0.0.1:7777/apis/ccompat/v7"))
    assert service.command[1:5] == ("-m", "neuroflux.stack.servers.registry_server", "127.0.0.1", "7777")
    assert [(port.number, port.setting) for port in service.ports] == [(7777, "NEUROFLUX_REGISTRY")]


def test_on_a_secure_stack_one_user_may_write(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, registry="http://127.0.0.1:7777/apis/ccompat/v7")
    assert "QUARKUS_HTTP_AUTH_BASIC" not in registry(settings).env
    password = make_credentials(tmp_path, PRINCIPALS)[SETUP]
    rules = access(password)
    assert rules.items() <= registry(settings).env.items()
    assert [name for name, value in rules.items() if value == password] == [
        "QUARKUS_SECURITY_USERS_EMBEDDED_USERS_SETUP"
    ]


def test_an_address_without_a_port() -> None:
    with pytest.raises(UsageError, match="NEUROFLUX_REGISTRY"):
        registry(Settings(registry="http://127.0.0.1/apis"))

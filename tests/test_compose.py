"""docker-compose.yml follows the compose specification and agrees with the rest of the project.

These tests run without Docker: they check the file, not the containers.
"""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic import ComposeSpecification

from neuroflux.stack.access import BROKER, PRINCIPALS, SUPER_USERS
from neuroflux.stack.passwords import passwords

ROOT = Path(__file__).parents[1]
STAGES = {"market", "account", "streams", "execution", "warehouse"}
ONCE = {"users", "setup"}
"""Services that end by themselves."""

PRINCIPALS_OF_CLIENTS = set(PRINCIPALS) - {BROKER, "sim"}
"""Principals of Kafka clients, with SCRAM."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_the_file_follows_the_specification(compose: dict[str, Any]) -> None:
    # Extensions (x-…) and the content of a configuration (2023) are in the specification, but not in its model.
    known = {key: part for key, part in compose.items() if not key.startswith("x-") and key != "configs"}
    ComposeSpecification(**known)
    assert all(part.keys() == {"content"} for part in compose["configs"].values())


def test_the_specification_is_really_checked() -> None:
    with pytest.raises(ValueError, match="restrat"):
        ComposeSpecification(services={"sim": {"image": "x", "restrat": "always"}})


def test_images_are_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        tag = service["image"].partition("@")[0].rpartition(":")[2]  # after the @ is the digest from `make digests`
        assert tag[0].isdigit() or tag[0] == "v", f"{name}: {service['image']}"
        assert "." in tag, f"{name}: {service['image']}"


def test_every_long_running_service_has_a_health_check(services: dict[str, Any]) -> None:
    unwatched = {name for name, service in services.items() if "healthcheck" not in service}
    assert unwatched == STAGES | ONCE, "stages have no port to ask; exchange.health and restarts watch them"
    assert all(services[name]["restart"] == "unless-stopped" for name in services.keys() - ONCE)
    assert all(services[name]["restart"] == "on-failure" for name in ONCE)


def test_dependencies_exist_and_have_a_health_check(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            assert dependency["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_three_brokers_replicate(services: dict[str, Any]) -> None:
    brokers = [
        service["environment"] for name, service in services.items() if name.startswith("kafka-") and name[-1].isdigit()
    ]
    assert sorted(broker["KAFKA_NODE_ID"] for broker in brokers) == [1, 2, 3]
    assert {broker["KAFKA_DEFAULT_REPLICATION_FACTOR"] for broker in brokers} == {3}
    assert services["setup"]["command"][-2:] == ["--replication", "3"]


def test_only_signing_services_get_keys(services: dict[str, Any]) -> None:
    with_keys = {
        name
        for name, service in services.items()
        if any(variable.endswith(("_API_KEY", "_SECRET_KEY")) for variable in service.get("environment", {}))
    }
    assert with_keys == {"account", "execution"}


def test_each_service_has_its_own_login(services: dict[str, Any]) -> None:
    for name in STAGES | {"setup"}:
        environment = services[name]["environment"]
        assert environment["NEUROFLUX_KAFKA_USER"] == name
        assert environment["NEUROFLUX_KAFKA_PASSWORD"] == password_of(name)
        writes = name in ("setup", "warehouse")
        user = "warehouse" if writes else "reader"
        assert environment["NEUROFLUX_CLICKHOUSE"].startswith(f"clickhouse://{user}:{password_of(user)}@")


def test_the_users_are_those_of_the_access_rules(services: dict[str, Any]) -> None:
    given = {f"NEUROFLUX_{name.upper()}_PASSWORD": password_of(name) for name in PRINCIPALS_OF_CLIENTS}
    assert services["users"]["environment"] == given
    loop = re.search(r"for name in (.*); do", services["users"]["command"][0])
    assert loop is not None
    assert set(loop[1].split()) == PRINCIPALS_OF_CLIENTS
    assert services["kafka-1"]["environment"]["KAFKA_SUPER_USERS"] == ";".join(f"User:{name}" for name in SUPER_USERS)


def password_of(name: str) -> str:
    return f"${{NEUROFLUX_{name.upper()}_PASSWORD:?make passwords}}"


def test_make_passwords_creates_all_passwords() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    made = [line.partition("=") for line in passwords().splitlines()]
    assert asked <= {name for name, _, _ in made}
    assert len({word for _, _, word in made}) == len(made)
    assert all(re.fullmatch(r"[\w-]{32}", word) for _, _, word in made), "used unquoted in URLs and JAAS"


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_stages_are_those_of_the_tree(services: dict[str, Any]) -> None:
    for name in STAGES:
        command = services[name]["command"]
        package = [part for before, part in itertools.pairwise(command) if before == "-m"][-1]
        assert (ROOT / package / "__main__.py").exists()


def test_the_image_copies_what_it_runs() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for package in ("neuroflux", "producers", "streams", "consumers", "schemas"):
        assert f"COPY {package} {package}" in dockerfile

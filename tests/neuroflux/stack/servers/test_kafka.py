from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.runtime.settings import Settings
from neuroflux.stack.servers.kafka import bootstrap, brokers, kafka, properties


def as_dict(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_one_broker_stores_one_replica() -> None:
    (node,) = brokers("127.0.0.1:9092", 1)
    config = as_dict(properties(node, [node], Path("/home/kafka/1"), {}))
    assert config["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert config["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert config["log.dirs"] == "/home/kafka/1/log"
    assert {value for name, value in config.items() if name.endswith("replication.factor")} == {"1"}
    assert {value for name, value in config.items() if "min.isr" in name or "min.insync" in name} == {"1"}
    assert config["group.initial.rebalance.delay.ms"] == "0"


def test_three_brokers_store_three_replicas() -> None:
    nodes = brokers("127.0.0.1:9092", 3)
    assert bootstrap(nodes) == "127.0.0.1:9092,127.0.0.1:9102,127.0.0.1:9112"
    config = as_dict(properties(nodes[2], nodes, Path("/kafka/3"), {}))
    assert config["node.id"] == "3"
    assert config["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9103,3@127.0.0.1:9113"
    assert {value for name, value in config.items() if name.endswith("replication.factor")} == {"3"}
    assert {value for name, value in config.items() if "min.isr" in name or "min.insync" in name} == {"2"}


def test_the_ports_name_their_setting(tmp_path: Path) -> None:
    services = kafka(Settings(home=tmp_path, kafka="127.0.0.1:9092"), 3)
    assert [service.name for service in services] == ["kafka-1", "kafka-2", "kafka-3"]
    assert [port.number for service in services for port in service.ports] == [9092, 9093, 9102, 9103, 9112, 9113]
    assert {port.setting for service in services for port in service.ports} == {"NEUROFLUX_KAFKA"}
    assert [service.name for service in kafka(Settings(home=tmp_path, kafka="127.0.0.1:9092"), 1)] == ["kafka"]


def test_a_home_keeps_its_number_of_brokers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka="127.0.0.1:9092")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "brokers").write_text("1")
    kafka(settings, 1)
    with pytest.raises(UsageError, match="was made for 1 broker"):
        kafka(settings, 3)


def test_a_setting_without_a_port() -> None:
    with pytest.raises(UsageError, match="NEUROFLUX_KAFKA"):
        brokers("localhost", 1)

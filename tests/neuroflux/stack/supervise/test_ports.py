import socket
from pathlib import Path

import pytest

from neuroflux.errors import PortTaken, UsageError
from neuroflux.stack.supervise.ports import check_ports
from neuroflux.stack.supervise.service import Port, Readiness, Service


def listener(*ports: Port) -> Service:
    return Service(name="kafka", command=("x",), readiness=Readiness.CHECK, env={}, cwd=Path(), ports=ports)


def test_free_ports_stay_free(unused_tcp_port: int) -> None:
    service = listener(Port("127.0.0.1", unused_tcp_port, "NEUROFLUX_KAFKA"))
    check_ports([service])
    check_ports([service])


def test_a_taken_port_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            check_ports([listener(Port("127.0.0.1", number, "NEUROFLUX_KAFKA"))])
    assert str(caught.value) == f"port {number} for kafka is taken; set NEUROFLUX_KAFKA to a free one"


def test_two_services_on_one_port(unused_tcp_port: int) -> None:
    port = Port("127.0.0.1", unused_tcp_port, "NEUROFLUX_REGISTRY")
    with pytest.raises(PortTaken, match="NEUROFLUX_REGISTRY"):
        check_ports([listener(port), listener(port)])


def test_an_address_of_another_machine() -> None:
    with pytest.raises(UsageError, match=r"NEUROFLUX_KAFKA: can't listen on 192\.0\.2\.1:9092"):
        check_ports([listener(Port("192.0.2.1", 9092, "NEUROFLUX_KAFKA"))])

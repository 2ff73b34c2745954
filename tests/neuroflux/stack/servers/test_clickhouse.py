import xml.etree.ElementTree as ET
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from neuroflux.clickhouse.login import make_login, with_login
from neuroflux.errors import UsageError
from neuroflux.runtime.credentials import make_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import PRINCIPALS
from neuroflux.stack.servers.clickhouse import Server, clickhouse, config, server, users


def test_addresses_of_both_protocols() -> None:
    made = server(Settings(clickhouse="clickhouse://127.0.0.1:9000/neuroflux", clickhouse_http="http://127.0.0.1:8123"))
    assert made == Server("127.0.0.1", 9000, 8123)


def test_the_user_of_the_setting_is_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, clickhouse="clickhouse://trader:s%3Ccret@127.0.0.1:9000/neuroflux")
    make_login(settings)
    assert list(tmp_path.iterdir()) == []
    tree = ET.fromstring(users(settings))
    assert tree.findtext("users/trader/password_sha256_hex") == sha256(b"s<cret").hexdigest()
    assert [ip.text for ip in tree.findall("users/default/networks/ip")] == ["127.0.0.1", "::1"]


def test_without_a_user_in_the_setting_the_home_has_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    make_login(settings)
    tree = ET.fromstring(users(settings))
    password = urlsplit(with_login(settings)).password or ""
    assert len(password) == 32
    assert tree.findtext("users/neuroflux/password_sha256_hex") == sha256(password.encode()).hexdigest()


def test_on_a_secure_stack_the_warehouse_writes_and_default_does_nothing(tmp_path: Path) -> None:
    passwords = make_credentials(tmp_path, PRINCIPALS)
    tree = ET.fromstring(users(Settings(home=tmp_path)))
    assert {user.tag for user in tree.findall("users/*")} == {"default", "warehouse", "reader"}
    warehouse = sha256(passwords["warehouse"].encode()).hexdigest()
    assert tree.findtext("users/warehouse/password_sha256_hex") == warehouse
    assert tree.find("users/default/access_management") is None
    granted = [one.text for one in tree.findall("users/default/grants/query")]
    assert granted == ["GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON system.numbers"]


def test_config_keeps_everything_in_its_folder() -> None:
    tree = ET.fromstring(config(Server("127.0.0.1", 1, 2), Path("/home/a & b")))
    assert tree.findtext("path") == "/home/a & b/db"
    assert (tree.findtext("tcp_port"), tree.findtext("http_port")) == ("1", "2")


def test_ports_name_their_settings(tmp_path: Path) -> None:
    service = clickhouse(Settings(home=tmp_path))
    assert {port.setting for port in service.ports} == {"NEUROFLUX_CLICKHOUSE", "NEUROFLUX_CLICKHOUSE_HTTP"}


def test_an_address_without_a_port() -> None:
    with pytest.raises(UsageError, match="NEUROFLUX_CLICKHOUSE"):
        server(Settings(clickhouse="clickhouse://127.0.0.1/neuroflux"))

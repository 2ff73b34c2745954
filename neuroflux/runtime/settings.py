"""The settings: environment variables, or a ``.env`` file, all beginning with ``NEUROFLUX_``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import EXCHANGE_IDS, exchange
from neuroflux.exchanges.config import LIVE_ORDER_LIMITS, ORDER_LIMITS
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.runtime.credentials import check_private, check_trusted, read_credentials
from neuroflux.runtime.exchange_addresses import address_fault, check_testnet, is_yes

ENV_FILE = ".env"
TRADER, READER = "trader", "reader"
"""The users with which a person logs in to Kafka and to ClickHouse of a secure local stack."""
_SECRET = ("_SECRET_KEY", "_PASSPHRASE", "_PASSWORD")

Names = Annotated[tuple[str, ...], NoDecode]
"""A list in one variable, separated by commas."""

_EMPTY_IS_NONE = BeforeValidator(lambda given: None if given == "" else given)
UsdLimit = Annotated[float | None, Field(gt=0, allow_inf_nan=False), _EMPTY_IS_NONE]
"""A limit set by the user; None, or an empty variable, keeps the default."""


class Settings(BaseSettings):
    """The settings of one process; frozen. Per-exchange ones are read by name, see the methods."""

    model_config = SettingsConfigDict(env_prefix="NEUROFLUX_", env_file=ENV_FILE, frozen=True, extra="ignore")

    home: Path = Path("data")
    cache: Path = Path.home() / ".cache" / "neuroflux"
    kafka: str = "127.0.0.1:9092"
    registry: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    clickhouse: str = "clickhouse://127.0.0.1:9000/neuroflux"
    clickhouse_http: str = Field(default_factory=lambda given: _http_beside(given["clickhouse"]))
    """ClickHouse's HTTP address; by default the usual port of the same host."""
    sim: str = "http://127.0.0.1:8900"
    exchanges: Names = EXCHANGE_IDS
    markets: Names = ()
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_tls: bool = False
    max_notional_usd: UsdLimit = None
    max_daily_loss_usd: UsdLimit = None
    """These replace those of ``ORDER_LIMITS`` and, for orders on a real exchange, of ``LIVE_ORDER_LIMITS``."""
    recording: Path | None = None
    """The file that ``record`` writes and ``replay`` reads."""
    replay_speed: float = Field(default=0.0, ge=0)
    """1 is the original speed, 2 twice as fast, 0 as fast as possible."""
    instance: str = ""
    """The name of this process among those that share a stage's work, constant over restarts: its group then returns
    its partitions at once, instead of waiting until it is considered dead. No two running processes may share one."""

    @field_validator("exchanges", "markets", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("exchanges")
    @classmethod
    def _known(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in ids if name not in EXCHANGE_IDS]
        if unknown:
            raise ValueError(f"unknown exchange {', '.join(unknown)}; known: {', '.join(EXCHANGE_IDS)}")
        return ids

    def keys(self, exchange_id: str) -> Keys | None:
        """The credentials of an account, or None where either half is missing."""
        key = _exchange_variable(exchange_id, "API_KEY")
        secret = _exchange_variable(exchange_id, "SECRET_KEY")
        if not key or not secret:
            return None
        subaccount, passphrase = (_exchange_variable(exchange_id, name) for name in ("SUBACCOUNT", "PASSPHRASE"))
        return Keys(key, secret, subaccount, self.testnet(exchange_id), passphrase)

    def testnet(self, exchange_id: str) -> bool:
        """Whether the exchange's testnet is used: its addresses, unless others are set, and its signatures.

        Raises UsageError where there is none.
        """
        variable = f"NEUROFLUX_{exchange_id.upper()}_TESTNET"
        if is_testnet := is_yes(variable, _exchange_variable(exchange_id, "TESTNET")):
            check_testnet(exchange_id, variable)
        return is_testnet

    def rest_url(self, exchange_id: str) -> str:
        return _exchange_variable(exchange_id, "REST_URL") or self._addresses(exchange_id)[0]

    def ws_url(self, exchange_id: str) -> str:
        return _exchange_variable(exchange_id, "WS_URL") or self._addresses(exchange_id)[1]

    def private_ws_url(self, exchange_id: str) -> str:
        return _exchange_variable(exchange_id, "WS_URL") or self._addresses(exchange_id)[2]

    def is_simulated(self, exchange_id: str) -> bool:
        """Whether its address is that of the simulator."""
        return f"{self.rest_url(exchange_id)}/".startswith(f"{self.sim.rstrip('/')}/")

    def order_limits(self, *, live: bool) -> dict[str, float]:
        """``ORDER_LIMITS`` with the user's own limits; ``live`` if orders are sent to a real exchange."""
        chosen = {"max_notional_usd": self.max_notional_usd, "max_daily_loss_usd": self.max_daily_loss_usd}
        own = {name: limit for name, limit in chosen.items() if limit is not None}
        return (LIVE_ORDER_LIMITS if live else ORDER_LIMITS) | own

    def _addresses(self, exchange_id: str) -> tuple[str, str, str]:
        """The exchange's own: REST, public and private sockets."""
        on = exchange(exchange_id)
        return on.TESTNET if self.testnet(exchange_id) else (on.REST_URL, on.WS_URL, on.PRIVATE_WS_URL)


def _http_beside(clickhouse: str) -> str:
    parts = urlsplit(clickhouse)
    scheme, port = ("https", 8443) if parts.scheme == "clickhouses" else ("http", 8123)
    host = parts.hostname or ""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _exchange_variable(exchange_id: str, name: str) -> str:
    variable = f"NEUROFLUX_{exchange_id.upper()}_{name}"
    return os.environ.get(variable) or dotenv_values(ENV_FILE).get(variable) or ""


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raises UsageError that names an invalid variable, or a file with too open permissions.

    No address of a followed exchange may be unencrypted, or mix the testnet with the real exchange.

    Without a Kafka user in the settings, and with a secure local stack in the home, the stack's trader and reader are
    used for Kafka and ClickHouse.
    """
    _check_env_file()
    try:
        settings = Settings(**overrides)
        _check_addresses(settings)
        passwords = {} if settings.kafka_user else read_credentials(settings.home)
        return settings.model_copy(update=_person(settings, passwords)) if passwords else settings
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper()
        raise UsageError(f"NEUROFLUX_{name}: {first['msg'].removeprefix('Value error, ')}") from error


def _person(settings: Settings, passwords: Mapping[str, str]) -> dict[str, object]:
    kafka = {"kafka_user": TRADER, "kafka_password": SecretStr(passwords[TRADER])}
    return {**kafka, "clickhouse": with_user(settings.clickhouse, READER, passwords[READER])}


def with_user(url: str, user: str, password: str) -> str:
    """The same address with this user and password, in place of any it contains."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}").geturl()


def _check_addresses(settings: Settings) -> None:
    for one in settings.exchanges:
        given = {name: _exchange_variable(one, name) for name in ("REST_URL", "WS_URL")}
        set_ones = {name: address for name, address in given.items() if address}
        if fault := address_fault(one, settings.testnet(one), set_ones, settings.sim):
            raise UsageError(fault)


def _check_env_file() -> None:
    """It must be ours, since its addresses receive our keys; one with secrets must be accessible to its owner only."""
    file = Path(ENV_FILE)
    if file.exists():
        check_trusted(file)
    if any(value and name.endswith(_SECRET) for name, value in dotenv_values(file).items()):
        check_private(file)


def port_of(address: str) -> int:
    """The port of ``host:port`` or of a URL; raises UsageError if it has none."""
    port = urlsplit(address if "//" in address else f"//{address}").port
    if port is None:
        raise UsageError(f"{address!r} names no port")
    return port

"""The schemas are a contract: valid Avro with the fields of domain and contract, compatible with older versions."""

import json
import subprocess
from pathlib import Path
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from neuroflux.records.topics import ALL, BY_NAME

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "schemas"
RECORDED = [topic for topic in ALL if topic.record is not bytes]
CHECKER: Any = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
RELIED_ON = {
    "market.quotes": "exchange symbol market bid_price bid_size ask_price ask_size sequence event_time received_time",
    "market.trades": "exchange symbol market trade_id side price quantity event_time received_time",
    "market.books": "exchange symbol market bids asks sequence event_time received_time",
    "market.funding": "exchange symbol market rate interval_hours mark_price index_price next_funding_time event_time",
    "account.balances": "exchange asset free in_orders in_positions total event_time",
    "account.positions": "exchange symbol quantity entry_price unrealised_pnl event_time",
    "exchange.status": "exchange channel kind value detail event_time",
    "prices.aggregated": "market price low high volume liquidity_score sources event_time",
    "arbitrage.signals": "signal_id market kind buy_exchange buy_symbol buy_price sell_exchange sell_symbol sell_price "
    "quantity gross_profit fees conversion_cost expected_profit expires_at causes event_time",
    "exchange.health": "exchange status latency_ms uptime_percent rate_limit_usage last_successful_request event_time",
    "orders.commands": "order_id kind market side type quantity price time_in_force strategy requirements issued_by "
    "issued_at",
    "orders.decisions": "order_id strategy chosen reason candidates causes event_time",
    "orders.events": "order_id state exchange symbol client_order_id exchange_order_id side quantity filled_quantity "
    "average_price fees reason event_time",
    "orders.fills": "order_id exchange symbol trade_id side price quantity fee fee_asset liquidity event_time",
    "control.commands": "kind why issued_by issued_at",
}


def parsed(text: str) -> Any:
    return avro.schema.parse(text)


def compatible(reader: str, writer: str) -> bool:
    """Whether ``reader`` can read records written with ``writer``."""
    given = CHECKER.get_compatibility(parsed(reader), parsed(writer))
    return bool(given.compatibility is SchemaCompatibilityType.compatible)


def text_of(name: str) -> str:
    return (SCHEMAS / f"{name}.avsc").read_text()


def test_there_is_one_schema_per_topic() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.avsc")} == {topic.name for topic in RECORDED}


@pytest.mark.parametrize("name", [topic.name for topic in RECORDED])
def test_a_schema_is_avro_with_the_fields_of_the_domain(name: str) -> None:
    schema = parsed(text_of(name))
    record = BY_NAME[name].record
    assert [field.name for field in schema.fields] == list(record.__struct_fields__)


@pytest.mark.parametrize("name", RELIED_ON)
def test_the_fields_of_the_contract_exist(name: str) -> None:
    fields = {field["name"] for field in json.loads(text_of(name))["fields"]}
    assert fields >= set(RELIED_ON[name].split())


@pytest.mark.parametrize("name", [topic.name for topic in RECORDED])
def test_a_field_may_be_added_only_with_a_default(name: str) -> None:
    text = text_of(name)
    assert compatible(text, text)
    longer = json.loads(text)
    longer["fields"].append({"name": "added_later", "type": "string", "default": ""})
    assert compatible(json.dumps(longer), text)
    del longer["fields"][-1]["default"]
    assert not compatible(json.dumps(longer), text)


def releases() -> list[str]:
    listed = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-v:refname"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def test_records_of_the_last_release_can_be_read() -> None:
    """Before the first release there are no older records."""
    last = releases()[:1]
    for tag in last:
        for topic in RECORDED:
            shown = subprocess.run(
                ["git", "show", f"{tag}:schemas/{topic.name}.avsc"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if shown.returncode == 0:  # a topic newer than the release has no older schema
                assert compatible(text_of(topic.name), shown.stdout), f"{topic.name} since {tag}"
    assert last or "Nothing has been released yet" in (ROOT / "CHANGELOG.md").read_text()

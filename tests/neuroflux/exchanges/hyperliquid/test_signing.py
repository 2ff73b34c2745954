"""Hyperliquid's signatures against the published vectors and the exchange's own SDK."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils import signing as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.errors import UsageError
from neuroflux.exchanges.hyperliquid.signing import Signer, action_hash
from neuroflux.exchanges.kit.numerals import wire_number

KEY = "0x" + "2b" * 32
VECTORS = Path(__file__).parents[5] / "shared" / "wire" / "signing.dev.json"
HEX32 = st.binary(min_size=16, max_size=16).map(lambda raw: "0x" + raw.hex())
ORDERS = st.fixed_dictionaries(
    {
        "a": st.integers(0, 200_000),
        "b": st.booleans(),
        "p": st.decimals(min_value="0.00001", max_value="999999", places=5).map(wire_number),
        "s": st.decimals(min_value="0.00001", max_value="999999", places=5).map(wire_number),
        "r": st.booleans(),
        "t": st.sampled_from(["Gtc", "Ioc", "Alo"]).map(lambda tif: {"limit": {"tif": tif}}),
        "c": HEX32,
    }
)
ACTIONS = st.one_of(
    st.lists(ORDERS, min_size=1, max_size=20).map(lambda orders: {"type": "order", "orders": orders, "grouping": "na"}),
    st.lists(st.fixed_dictionaries({"asset": st.integers(0, 200_000), "cloid": HEX32}), min_size=1, max_size=20).map(
        lambda cancels: {"type": "cancelByCloid", "cancels": cancels}
    ),
)


def numbers(signature: dict[str, Any]) -> tuple[int, int, int]:
    return int(signature["r"], 16), int(signature["s"], 16), int(signature["v"])


@settings(max_examples=40)
@given(
    action=ACTIONS,
    nonce=st.integers(0, 2**63),
    vault=st.none() | st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    expires=st.none() | st.integers(0, 2**63),
    mainnet=st.booleans(),
)
def test_signs_as_the_sdk(
    action: dict[str, Any], nonce: int, vault: str | None, expires: int | None, mainnet: bool
) -> None:
    ours = Signer(KEY, "a" if mainnet else "b").sign(action_hash(action, nonce, vault, expires))
    theirs = sdk.sign_l1_action(Account.from_key(KEY), action, vault, nonce, expires, mainnet)
    assert ours == theirs


def test_the_published_vectors() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not here: the vectors are other people's data, and not part of the project")
    vectors = [one for one in json.loads(VECTORS.read_text()) if one["scheme"] == "L1-action EIP712 Agent"]
    assert vectors
    for one in vectors:
        hashed = action_hash(one["action"], one["nonce"], one["vault"], one["expires_after"])
        assert "0x" + hashed.hex() == one["action_hash"], one["name"]
        signature = Signer(one["private_key"], "a" if one["is_mainnet"] else "b").sign(hashed)
        assert numbers(signature) == numbers(one["signature"]), one["name"]


@given(st.decimals(min_value="0.00000001", max_value="9999999", places=8))
def test_numbers_are_written_as_the_sdk_writes_them(number: Decimal) -> None:
    assert wire_number(number) == sdk.float_to_wire(float(number))


@pytest.mark.parametrize(
    ("number", "text"), [("100", "100"), ("1E+2", "100"), ("0.00010", "0.0001"), ("10.0", "10"), ("1E-7", "0.0000001")]
)
def test_numbers_have_one_text(number: str, text: str) -> None:
    assert wire_number(Decimal(number)) == text


@pytest.mark.parametrize("key", ["", "0x", "zz", "0x" + "00" * 32, "0x01020", "0x01", "ab" * 33])
def test_a_bad_key_is_the_users_mistake_and_is_not_shown(key: str) -> None:
    with pytest.raises(UsageError) as raised:
        Signer(key)
    assert not key or key not in str(raised.value)
    assert raised.value.__suppress_context__


def test_the_address_is_that_of_the_key() -> None:
    assert Signer(KEY).address == Account.from_key(KEY).address.lower()

"""Who signed a Hyperliquid action: the address that its EIP-712 signature gives.

Sources: the page "Signing" of Hyperliquid's manual; EIP-712 (https://eips.ethereum.org/EIPS/eip-712). Independent of
the adapter's signing on purpose: each checks the other.
"""

from __future__ import annotations

from typing import Any

import msgspec
from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

AGENT_SOURCES = ("a", "b")
"""Mainnet's and testnet's; clients that use another address sign as for the testnet."""

_DOMAIN = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_AGENT = keccak(b"Agent(string source,bytes32 connectionId)")
_USER_SIGNED: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "approveBuilderFee": (
        "HyperliquidTransaction:ApproveBuilderFee",
        (("hyperliquidChain", "string"), ("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "approveAgent": (
        "HyperliquidTransaction:ApproveAgent",
        (("hyperliquidChain", "string"), ("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")),
    ),
}
"""Actions that a wallet signs in readable form, by type: the primary type and its fields."""


def address_of(key: PublicKey) -> str:
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()


def private_key(seed: int, name: str) -> PrivateKey:
    """A key that the seed gives; nothing secret."""
    return PrivateKey(keccak(f"neuroflux/{seed}/{name}".encode()))


def signers(body: dict[str, Any]) -> set[str]:
    """The addresses that may have signed this request: one for each way clients sign. Raises ValueError."""
    signature = _signature(body["signature"])
    action = body["action"]
    if action.get("type") in _USER_SIGNED:
        return {_recovered(_user_digest(action), signature)}
    return {_recovered(_agent_digest(body, source), signature) for source in AGENT_SOURCES}


def _signature(wire: dict[str, Any]) -> bytes:
    """r and s may lack leading zeros; v is 27 or 28."""
    parts = (int(str(wire[name]), 16).to_bytes(32, "big") for name in ("r", "s"))
    return b"".join(parts) + bytes([int(wire["v"]) - 27])


def _recovered(digest: bytes, signature: bytes) -> str:
    return address_of(PublicKey.from_signature_and_message(signature, digest, hasher=None))


def _agent_digest(body: dict[str, Any], source: str) -> bytes:
    message = keccak(_AGENT + keccak(source.encode()) + _action_hash(body))
    return keccak(b"\x19\x01" + _domain("Exchange", 1337) + message)


def _action_hash(body: dict[str, Any]) -> bytes:
    packed = msgspec.msgpack.encode(body["action"]) + int(body["nonce"]).to_bytes(8, "big")
    vault, expires = body.get("vaultAddress"), body.get("expiresAfter")
    packed += b"\x01" + bytes.fromhex(str(vault)[2:]) if vault else b"\x00"
    if expires is not None:
        packed += b"\x00" + int(expires).to_bytes(8, "big")
    return keccak(packed)


def _domain(name: str, chain: int) -> bytes:
    return keccak(_DOMAIN + keccak(name.encode()) + keccak(b"1") + chain.to_bytes(32, "big") + bytes(32))


def _user_digest(action: dict[str, Any]) -> bytes:
    primary, fields = _USER_SIGNED[action["type"]]
    kind = f"{primary}({','.join(f'{type_} {name}' for name, type_ in fields)})"
    encoded = b"".join(_encoded(type_, action[name]) for name, type_ in fields)
    domain = _domain("HyperliquidSignTransaction", int(str(action["signatureChainId"]), 16))
    return keccak(b"\x19\x01" + domain + keccak(keccak(kind.encode()) + encoded))


def _encoded(type_: str, value: Any) -> bytes:
    if type_ == "string":
        return keccak(str(value).encode())
    return int(str(value), 16 if type_ == "address" else 10).to_bytes(32, "big")

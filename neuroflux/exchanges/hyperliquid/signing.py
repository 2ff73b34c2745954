"""Hyperliquid's signature of an action: msgpack, keccak, EIP-712 with a phantom agent, secp256k1.

Source: https://github.com/hyperliquid-dex/hyperliquid-python-sdk, hyperliquid/utils/signing.py. The parts of the
EIP-712 hash that never change are computed once, which is why a signature takes 0.1 ms and not ccxt's 4.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from coincurve import PrivateKey
from eth_hash.auto import keccak

from neuroflux.domain import Microseconds
from neuroflux.errors import UsageError

MAINNET, TESTNET = "a", "b"
"""The phantom agent's source."""

NONCE_STRIDE: Final = 16
"""How many processes can sign with one key and never make the same nonce. A larger stride would run further ahead of
the clock where many actions are signed at once, and the exchange refuses what is below the last 100 nonces of a key."""

_FURTHEST_AHEAD: Final = 60_000
"""ms: beyond it the clock was wrong, not the burst of orders long."""

_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_DOMAIN = keccak(
    keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(b"Exchange")
    + keccak(b"1")
    + (1337).to_bytes(32, "big")
    + bytes(32)
)


def action_hash(
    action: Mapping[str, Any], nonce: int, vault: str | None = None, expires_after: int | None = None
) -> bytes:
    """Hash an action, whose keys are in the exchange's order. ``nonce`` and ``expires_after`` are ms, ``vault`` hex."""
    data = msgspec.msgpack.encode(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault.removeprefix("0x"))
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return bytes(keccak(data))


def _exactly(length: int, raw: bytes) -> bytes:
    """coincurve pads what is too short, and signs with that."""
    if len(raw) != length:
        raise ValueError(f"not {length} bytes")
    return raw


class Nonces:
    """The nonces of one process: ms, never equal, and all with one rest when divided by the stride.

    They fall only where the clock was ahead and is not any more: for as long as it was, all else would be refused.
    The exchange takes one that is new, within (T - 2 days, T + 1 day) and above the smallest of the last 100. Source:
    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets
    """

    def __init__(self, rest: int) -> None:
        self._rest = rest
        self._last = rest - NONCE_STRIDE

    def next(self, now: Microseconds) -> int:
        """The first of ours that is not before now; further ahead of the clock where that was used already."""
        ms = now // 1000
        first, unused = ms + (self._rest - ms) % NONCE_STRIDE, self._last + NONCE_STRIDE
        self._last = unused if first < unused < first + _FURTHEST_AHEAD else first
        return self._last


class Signer:
    """Signs with one agent's private key (hex, with or without ``0x``); raises UsageError where it is no key."""

    def __init__(self, private_key: str, source: str = MAINNET) -> None:
        try:
            self._key = PrivateKey(_exactly(32, bytes.fromhex(private_key.removeprefix("0x"))))
        except ValueError:
            raise UsageError("the Hyperliquid agent's private key must be 32 bytes in hex") from None
        self._source = keccak(source.encode())

    @property
    def address(self) -> str:
        """Of the key, in lower case: the end of the hash of its public half."""
        return "0x" + bytes(keccak(self._key.public_key.format(compressed=False)[1:]))[-20:].hex()

    def sign(self, hashed: bytes) -> dict[str, str | int]:
        """The signature over an ``action_hash``: ``{"r", "s", "v"}``, numbers in hex as the SDK writes them."""
        agent = keccak(_AGENT_TYPE + self._source + hashed)
        signature = self._key.sign_recoverable(keccak(b"\x19\x01" + _DOMAIN + agent), hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return {"r": hex(r), "s": hex(s), "v": 27 + signature[64]}

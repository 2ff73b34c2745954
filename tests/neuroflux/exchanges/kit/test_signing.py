"""Signatures that several exchanges share. Expected values: RFC 4231, test case 2."""

from __future__ import annotations

import base64

from neuroflux.exchanges.kit.signing import hmac_base64, hmac_hex

DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_signature_is_hmac_sha256_in_hex_or_base64() -> None:
    assert hmac_hex("Jefe", "what do ya want for nothing?") == DIGEST
    assert hmac_base64("Jefe", "what do ya want for nothing?") == base64.b64encode(bytes.fromhex(DIGEST)).decode()

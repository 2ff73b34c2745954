"""Signatures that several exchanges share."""

from __future__ import annotations

import base64
import hashlib
import hmac


def hmac_hex(secret: str, payload: str) -> str:
    """HMAC-SHA256 in hex over exactly what is sent."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def hmac_base64(secret: str, payload: str) -> str:
    """HMAC-SHA256 in base64 over exactly what is sent."""
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()

"""Passwords for the containers, one per principal, as lines of a .env file: ``make passwords`` stores them."""

from __future__ import annotations

import secrets

from neuroflux.stack.access import PRINCIPALS


def passwords() -> str:
    """New passwords; they need no quoting in a URL or in Kafka's configuration."""
    return "\n".join(f"NEUROFLUX_{name.upper()}_PASSWORD={secrets.token_urlsafe(24)}" for name in PRINCIPALS)


if __name__ == "__main__":
    print(passwords())

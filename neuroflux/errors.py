"""The one tree of errors.

NeuroFluxError
├── UsageError             the caller's mistake: an argument, a setting, a file; never retried
│   └── UnknownSymbol      no instrument list names it
├── Transient              may pass: the only kind a retry loop catches
│   ├── Unreachable        a service or an exchange does not answer
│   └── RateLimited        asked to wait; carries for how long
├── Refused                an exchange or a rule said no, for good; never retried
│   ├── TooLarge           Kafka takes no record of this size
│   └── Forbidden          Kafka knows us, or does not, and gives us no right to this
├── ProtocolError          the peer broke its own protocol; resync
│   ├── MalformedFrame     bytes that are not a message of the exchange
│   └── SequenceGap        a message is missing
└── StackError             the local stack can't start or stay up
    ├── PortTaken          names the setting to change
    ├── DiskFull           nothing can be written under NEUROFLUX_HOME
    └── DownloadFailed     names what is missing
"""

from __future__ import annotations


class NeuroFluxError(Exception):
    """Base of every error that NeuroFlux raises on purpose."""


class UsageError(NeuroFluxError):
    """The caller asked for something that makes no sense; the text names the argument or the setting."""


class UnknownSymbol(UsageError):
    """No instrument list names this symbol or market."""


class Transient(NeuroFluxError):
    """May pass by itself; may be tried again."""


class Unreachable(Transient):
    """A service or an exchange does not answer."""


class RateLimited(Transient):
    """The exchange asked us to wait.

    ``retry_after`` is in seconds; 0.0 where the exchange did not say.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(NeuroFluxError):
    """An exchange, or one of our own rules, said no for good."""


class Forbidden(Refused):
    """Kafka does not let us in, or gives us no right to what we asked for."""


class TooLarge(Refused):
    """Kafka takes no record of this size; every other goes on."""


class ProtocolError(NeuroFluxError):
    """The peer broke its own protocol."""


class MalformedFrame(ProtocolError):
    """These bytes are not a message of the exchange."""


class SequenceGap(ProtocolError):
    """A message is missing, so the book is no longer proved."""


class StackError(NeuroFluxError):
    """The local stack can't start, or can't stay up."""


class PortTaken(StackError):
    """Another program listens where ours should."""

    def __init__(self, port: int, service: str, setting: str) -> None:
        super().__init__(f"port {port} for {service} is taken; set {setting} to a free one")


class DiskFull(StackError):
    """Nothing more can be written under NEUROFLUX_HOME."""


class DownloadFailed(StackError):
    """A part of the local stack could not be fetched."""

"""All errors that NeuroFlux raises on purpose, in one tree.

NeuroFluxError
├── UsageError             the caller's mistake: an argument, a setting, a file; never retried
│   └── UnknownSymbol      no exchange lists it
├── Transient              may succeed later: the only kind that a retry loop catches
│   ├── Unreachable        a service or an exchange does not respond
│   └── RateLimited        a rate limit; carries how long to wait
├── Refused                an exchange or a rule refused it for good; never retried
│   ├── TooLarge           Kafka does not accept a record of this size
│   └── Forbidden          Kafka refused the authentication or the authorization
├── ProtocolError          the peer violated its own protocol; resynchronise
│   └── MalformedFrame     bytes that are not a message of the exchange, or not a record of the topic
└── StackError             the local stack can't start or keep running
    ├── PortTaken          names the setting to change
    ├── DiskFull           nothing can be written under NEUROFLUX_HOME
    └── DownloadFailed     names what is missing
"""

from __future__ import annotations


class NeuroFluxError(Exception):
    """Base of every error that NeuroFlux raises on purpose; catch it to handle all of them."""


class UsageError(NeuroFluxError):
    """An argument, a setting or a file is invalid. The text names it; correct it and call again."""


class UnknownSymbol(UsageError):
    """No instrument list names this symbol or market. Check the spelling, and that its exchange is among those followed
    (``NEUROFLUX_EXCHANGES``).
    """


class Transient(NeuroFluxError):
    """A failure that may pass by itself. Try again later."""


class Unreachable(Transient):
    """A service or an exchange does not respond, or refuses the connection. Check that it runs, and its address.

    After a write it is unknown whether the write took effect.
    """


class RateLimited(Transient):
    """The exchange refused a request because of a rate limit. Wait ``retry_after`` seconds before the next one.

    ``retry_after`` is 0.0 where the exchange gave no time.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(NeuroFluxError):
    """An exchange, a service or one of our own rules refused a request for good. The same request will fail again:
    change it by the reason in the text.
    """


class Forbidden(Refused):
    """Kafka refused the user's login, or the user has no right to this topic or group. Check ``NEUROFLUX_KAFKA_USER``
    and its password, and the user's ACLs.
    """


class TooLarge(Refused):
    """A record is larger than Kafka accepts. Make it smaller; other records are not affected."""


class ProtocolError(NeuroFluxError):
    """The peer violated its own protocol. The connection or the book is synchronised again."""


class MalformedFrame(ProtocolError):
    """Bytes that are not a message of the exchange, or not a record of the topic. They are reported and skipped."""


class StackError(NeuroFluxError):
    """The local stack can't start, or stopped. The text names the cause; ``neuroflux logs NAME`` shows the details."""


class PortTaken(StackError):
    """Another program listens on a port that the stack needs. Change the setting that the text names, or stop it."""

    def __init__(self, port: int, service: str, setting: str) -> None:
        super().__init__(f"port {port} for {service} is taken; set {setting} to a free one")


class DiskFull(StackError):
    """Nothing more can be written under ``NEUROFLUX_HOME``. Free some space, or set it to another disk."""


class DownloadFailed(StackError):
    """A part of the local stack could not be downloaded. The text names it; check the network, and start again."""

"""Whose fault it is.

A `PeerError` is the phone's: it is told in an `error` packet, counted, logged at info, and the
relay goes on.  A `ConfigError` is the operator's: it stops the start with a sentence on what to
change.  `Unavailable` is nobody's: who asked is told, and may ask again.  `BadMedia` is the bot's, and
costs it that answer; so is `StateFull`: it wants to remember too much.  Any other exception is by
definition a fault of ours.
"""

from __future__ import annotations

from relaytw.messages import ErrorCode


class PeerError(Exception):
    """A phone did something it may not; `code` is what it is told, the text says why."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class BadLine(PeerError):
    """The bytes of one line are not a packet."""

    def __init__(self, why: str, code: ErrorCode = ErrorCode.BAD_LINE) -> None:
        super().__init__(code, why)


class BrokenSeal(BadLine):
    """A line is not what its writer sealed, or not the next one: the connection cannot be trusted further."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(why, code)


class Refused(PeerError):
    """The gate does not let this packet in."""


class ConfigError(Exception):
    """The configuration cannot be used; the text names every key, its value and what is allowed."""


class Unavailable(Exception):
    """What was asked for needs something that is away at the moment; the text says what."""


class BadMedia(Exception):
    """Media cannot be sent as they are; the text says why, and is fit for the bot's admins."""


class StateFull(Exception):
    """What a handler wants to remember is more than the relay keeps; the text names the limit."""

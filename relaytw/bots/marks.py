"""What a handler says of itself beside its signature: who may call it, how often, and in what company.

Every mark can be given to the decorator that makes a function a handler, `admin=True`, or stand above or
below it as a decorator of its own, `@admin`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

H = TypeVar("H", bound=Callable[..., object])
_NAME = "__relaytw_marks__"


class Cooldown(NamedTuple):
    """A handler is called once in so many seconds by a `user` in a room, or by all of a `room`."""

    scope: Literal["user", "room"]
    seconds: float


class Marks(NamedTuple):
    """What is marked: for admins alone, one at a time in each room, once in a while."""

    admin: bool = False
    ordered: bool = False
    cooldown: Cooldown | None = None

    def also(self, other: Marks) -> Marks:
        """These marks and those."""
        return Marks(
            self.admin or other.admin, self.ordered or other.ordered, self.cooldown or other.cooldown
        )


def marks_of(handler: Callable[..., object]) -> Marks:
    """The marks that decorators have left on a handler, at whatever place they stand."""
    marks: Marks = getattr(handler, _NAME, _NONE)
    return marks


def admin(handler: H) -> H:
    """Let only admins call the decorated handler."""
    return _mark(handler, Marks(admin=True))


def ordered(handler: H) -> H:
    """Let one message of a room be at work at a time in the decorated handler."""
    return _mark(handler, Marks(ordered=True))


def cooldown(scope: Literal["user", "room"], seconds: float) -> Callable[[H], H]:
    """Let the decorated handler be called once in so many seconds.  Raises ValueError for nonsense."""
    checked = check(Cooldown(scope, seconds))
    return lambda handler: _mark(handler, Marks(cooldown=checked))


def check(wanted: Any) -> Cooldown | None:
    """A cooldown that can be kept.  Raises ValueError with what is allowed for anything else but None."""
    if wanted is None:
        return None
    right = isinstance(wanted, Cooldown) and wanted.scope in ("user", "room")
    if not right or isinstance(wanted.seconds, bool) or not 0 < wanted.seconds < float("inf"):
        raise ValueError(f'a cooldown is Cooldown("user" or "room", seconds), not {wanted!r}')
    return Cooldown(*wanted)


_NONE = Marks()


def _mark(handler: H, marks: Marks) -> H:
    try:
        setattr(handler, _NAME, marks_of(handler).also(marks))
    except AttributeError as error:
        raise TypeError(f"{handler!r} cannot be marked; mark a function") from error
    return handler

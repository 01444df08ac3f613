"""What a device is pinned to: its installation, and whether that has once shown that it speaks 4.0.

Both stand in one column, so that they are set, seen and taken back together.  A device whose pin is sealed
is not believed in an older dialect any more, in which packets can be changed on their way.
"""

from __future__ import annotations

#: How the pin of a device begins that has proven itself in 4.0.
SEALED = "4.0|"


def sealed(uuid: str) -> str:
    """The pin of an installation that speaks 4.0."""
    return SEALED + uuid


def is_sealed(pin: str | None) -> bool:
    """Has the device proven itself in 4.0 since it was approved?"""
    return pin is not None and pin.startswith(SEALED)


def follows(pin: str, before: str | None) -> bool:
    """May this pin take the place of that one: of none, or of its own before it was sealed?"""
    return before is None or pin == SEALED + before

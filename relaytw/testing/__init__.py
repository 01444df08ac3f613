"""For tests: doubles of what is slow or far away, and phones that talk to a relay in memory.

`Kit` is a whole relay without sockets; the pytest fixture `relay_bot` makes one (see docs/bots.md).
"""

from relaytw.testing.doubles import FakeMachine, MemoryDatabase
from relaytw.testing.kit import HandlerFailed, Heard, Kit, KitPhone

__all__ = ["FakeMachine", "HandlerFailed", "Heard", "Kit", "KitPhone", "MemoryDatabase"]

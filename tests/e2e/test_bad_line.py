"""The bridge script, a relay that keeps the specification, and a line that breaks at any byte."""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import ExitStack

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.obedient import ObedientRelay
from tests.e2e.relays import BadLine

COUNT = 60


def digest(number: int) -> str:
    """That of the picture for this number."""
    return hashlib.sha256(str(number).encode() * 70_000).hexdigest()


@pytest.mark.parametrize(
    ("seed", "cuts"), [(1, (200, 4000)), (2, (20_000, 200_000))], ids=["often", "in media"]
)
def test_every_message_once(
    ending: ExitStack, make_phone: MakePhone, seed: int, cuts: tuple[int, int]
) -> None:
    """Wherever connections are cut: each message is heard once, in order, each answer typed or shown once."""
    relay = ObedientRelay()
    ending.callback(relay.close)
    line = BadLine(relay.port, cuts=cuts, chance=random.Random(seed))
    ending.callback(line.close)
    phone = make_phone(line.server(), retryFirst=10, retryMost=20)
    for number in range(COUNT):
        phone.hear(str(number))
        time.sleep(0.02)
    phone.wait(lambda: line.count > 8, "eight cuts")
    line.heal()
    phone.hear(str(COUNT + 1))
    phone.wait(lambda: f"answer {COUNT + 1}" in phone.typed, "the last answer", 60)
    assert relay.heard == [*map(str, range(COUNT)), str(COUNT + 1)]
    assert phone.typed == [f"answer {number}" for number in [*range(COUNT), COUNT + 1] if number % 10]
    shown = [shared["files"][0]["sha256"].zfill(64) for shared in phone.of("shared")]
    assert shown == [digest(number) for number in range(0, COUNT, 10)]
    assert (relay.failures, relay.problems) == ([], [])
    phone.wait(lambda: phone.evaluate("RelayBridge.inside.waiting().length") == 0, "all acknowledged")


def test_killed_app(ending: ExitStack, make_phone: MakePhone) -> None:
    """However often the app is killed, nothing is lost or typed twice; what it died at may not be typed."""
    relay = ObedientRelay()
    ending.callback(relay.close)
    typed: list[str] = []
    for run in range(5):
        phone = make_phone(relay.server(), options={"names": ["family"]})
        for number in range(10 * run + 1, 10 * run + 10):
            phone.hear(str(number))
        assert phone.evaluate("1") == 1
        time.sleep(0.03 * run)
        phone.kill()
        typed += phone.typed
    phone = make_phone(relay.server(), options={"names": ["family"]})
    phone.hear("51")
    phone.wait(lambda: "answer 51" in phone.typed, "the last answer")
    typed += phone.typed
    assert relay.heard == [str(number) for number in range(52) if number % 10]
    wanted = [f"answer {number}" for number in range(52) if number % 10]
    assert [text for text in wanted if text in typed] == typed
    assert len(typed) >= len(wanted) - 5
    assert (relay.failures, relay.problems) == ([], [])

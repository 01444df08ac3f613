"""Tests of the quiz: `pytest examples`."""

from types import ModuleType

import pytest
import quiz

from relaytw.pytest_plugin import RelayBot
from relaytw.testing import Kit


@pytest.fixture
def kit(relay_bot: RelayBot) -> Kit:
    module: ModuleType = quiz
    return relay_bot(module)


def test_to_the_end(kit: Kit) -> None:
    """Whoever answers three times is told how many were right, and the room remembers the best."""
    phone = kit.phone()
    phone.say("# quiz")
    assert phone.heard() == ["대한민국의 수도는?"]
    phone.say("서울")
    assert phone.heard() == ["맞았습니다!", "3 × 7 = ?"]
    phone.say("20")
    phone.say("에베레스트")
    assert phone.heard()[-1] == "3문제 가운데 2문제를 맞혔습니다."
    phone.say("# best", sender="Bob")
    assert phone.heard() == ["Ada: 2"]
    phone.say("에베레스트")
    assert phone.heard() == []


def test_two_people(kit: Kit) -> None:
    """Two people in one room do not get into each other's way."""
    phone = kit.phone()
    phone.say("# quiz", sender="Ada")
    phone.say("# quiz", sender="Bob")
    phone.say("서울", sender="Ada")
    phone.heard()
    phone.say("서울", sender="Bob")
    assert phone.heard() == ["맞았습니다!", "3 × 7 = ?"]


def test_restart(kit: Kit) -> None:
    """A restart in the middle of it is not noticed."""
    phone = kit.phone()
    phone.say("# quiz")
    kit.restart()
    phone.heard()
    phone.say("부산")
    assert phone.heard() == ["아닙니다. 서울입니다.", "3 × 7 = ?"]


def test_forgotten(kit: Kit) -> None:
    """Who does not go on for ten minutes is taken not to want to."""
    phone = kit.phone()
    phone.say("# quiz")
    kit.advance(601)
    phone.heard()
    phone.say("서울")
    assert phone.heard() == []

"""Tests of the bot that takes orders."""

import orders

from relaytw.pytest_plugin import RelayBot


def test_order(relay_bot: RelayBot) -> None:
    """An order is taken question by question; who chooses badly is asked once more."""
    phone = relay_bot(orders).phone()
    phone.say("# order")
    assert phone.heard() == ["무엇을 드릴까요?\n1. 김밥\n2. 라면\n3. 떡볶이"]
    phone.say("피자")
    assert phone.heard() == ["1, 2, 3 가운데 골라 주세요."]
    phone.say("2")
    assert phone.heard() == ["어디로 보낼까요?"]
    phone.say("3층")
    assert phone.heard() == ["라면, 3층(으)로 보냅니다. 이 방의 1번째 주문입니다."]


def test_nobody_answers(relay_bot: RelayBot) -> None:
    """Who does not go on is let go."""
    kit = relay_bot(orders)
    phone = kit.phone()
    phone.say("# order")
    phone.heard()
    kit.advance(61)
    assert phone.heard() == ["그럼 다음에 주문해 주세요."]


def test_two_people(relay_bot: RelayBot) -> None:
    """Two people order in one room without getting into each other's way."""
    phone = relay_bot(orders).phone()
    phone.say("# order", sender="Ada")
    phone.say("# order", sender="Bob")
    phone.say("1", sender="Bob")
    phone.say("2", sender="Ada")
    phone.heard()
    phone.say("집", sender="Ada")
    assert phone.heard() == ["라면, 집(으)로 보냅니다. 이 방의 1번째 주문입니다."]

"""The phones of the test kit at a relay in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from relaytw.testing.live import LiveRelay

HANDLERS = """
from relaytw.bots import Bot

bot = Bot()


@bot.command("# count")
def count(message):
    message.state["count"] = message.state.get("count", 0) + 1
    return [str(message.state["count"]), "admin" if message.is_admin else "guest"]
"""


def test_live(tmp_path: Path) -> None:
    """What is said is answered, by room; after a kill the relay can be started again."""
    (tmp_path / "counting.py").write_text(HANDLERS, "utf-8")
    with LiveRelay("counting", folder=tmp_path, settings={"limits": {"text_spacing": 0}}) as relay:
        phone = relay.phone()
        phone.say("# count", room="one", admin=True)
        assert phone.heard("one") == ["1", "admin"]
        phone.say("# count", room="two")
        assert phone.heard() == ["1", "guest"]
        phone.disconnect()
        relay.kill()
        relay.start()
        phone = relay.phone()
        phone.say("# count", room="three")
        assert phone.heard("three") == ["1", "guest"]
        phone.say("# count", room="one", sender="Bob")
        assert phone.heard("one", within=5) == ["1", "guest"]
        assert phone.errors == []


def test_no_bot(tmp_path: Path) -> None:
    """A relay that cannot start says why."""
    with pytest.raises(AssertionError, match="not found"):
        LiveRelay("no_such_bot", folder=tmp_path).start()

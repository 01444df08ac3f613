"""The bridge script and a relay of the tests that speaks 4.0: what is said, heard and typed."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import Relay


def test_hello(relay: Relay, make_phone: MakePhone) -> None:
    """The hello names everything that the specification wants, and the phone is let in."""
    phone = make_phone(relay.server())
    talk = relay.greeted(approved=False, message="code K7QXM")
    hello = talk.hello
    assert hello.pop("nonce") != relay.conversations[0].hello
    assert hello == {
        "versions": [4], "client": "MessengerBotR", "bot": "bot", "device": "a1b2c3d4e5f60718",
        "uuid": "a1b2c3d4e5f60718", "version": "4.0.0", "resume": None,
        "info": "brand MODEL-1 (Android 13, API 33)",
    }  # fmt: skip
    phone.says(f"connected to 127.0.0.1:{relay.port} (dialect 4.0)")
    phone.says("waiting for approval: code K7QXM")


def test_chat_and_reply(relay: Relay, make_phone: MakePhone) -> None:
    """A message goes out with all that is known of it, and the reply comes back into its chat."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    before = time.time()
    phone.hear("안녕 😀 \u2028 \"'\\", room="가족", channel=18000000000000001, isMention=True)
    chat = talk.hear("chat")
    assert before * 1000 - 1000 <= chat.pop("sent_at") <= time.time() * 1000
    assert 0 <= chat.pop("age") < 5000
    name = chat.pop("id")
    assert chat == {
        "room": "가족", "channel_id": "18000000000000001", "text": "안녕 😀 \u2028 \"'\\", "sender": "kim",
        "user_hash": "u1", "log_id": "3100000001", "is_group_chat": True, "is_mention": True, "resent": False,
    }  # fmt: skip
    talk.say("ack", {"ids": [name]})
    talk.reply(f"{name}/0", "에코\n둘째 줄 😀", "가족", "18000000000000001")
    assert talk.acked() == [f"{name}/0"]
    assert phone.settled().of("typed") == [
        {
            "event": "typed",
            "how": "reply",
            "room": "가족",
            "channelId": "18000000000000001",
            "text": "에코\n둘째 줄 😀",
        }
    ]


def test_half_a_character(relay: Relay, make_phone: MakePhone) -> None:
    """Half a surrogate pair is replaced, and a long text is cut between characters."""
    phone = make_phone(relay.server(), textChars=4)
    talk = relay.greeted()
    phone.hear("a\ud83db")
    phone.hear("abc😀d")
    assert [chat["text"] for chat in talk.chats(2)] == ["a\ufffdb", "abc"]


def test_both_entry_points(relay: Relay, make_phone: MakePhone) -> None:
    """A message that comes by both is one; the same words twice by one are two."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("one", logId=5)
    phone.hear("one", logId=5, path="response")
    phone.hear("two", logId=None, channel=None, path="response")
    phone.hear("two", logId=6)
    phone.hear("three", logId=None, path="response")
    phone.hear("three", logId=None, path="response")
    phone.hear("end", logId=7)
    assert [chat["text"] for chat in talk.chats(5)] == ["one", "two", "three", "three", "end"]


def test_legacy_app(relay: Relay, make_phone: MakePhone) -> None:
    """In an app without listeners response() does, and a reply goes through its replier."""
    phone = make_phone(relay.server(), options={"listener": False})
    talk = relay.greeted()
    phone.hear("hi", path="response", logId=None, channel=None, userHash=None)
    chat = talk.hear("chat")
    assert (chat["channel_id"], chat["log_id"], chat["user_hash"]) == (None, None, None)
    talk.reply("x/0", "hello", channel=None)
    assert talk.acked() == ["x/0"]
    phone.types("hello")
    phone.act("compile")
    phone.says("the script ends")
    with pytest.raises(EOFError):
        talk.read()


def test_no_room(relay: Relay, make_phone: MakePhone) -> None:
    """A chat that is not known, or not for sure, is not written to; and the relay is told why."""
    phone = make_phone(relay.server(), options={"names": ["alone"]})
    talk = relay.greeted()
    phone.hear("a", "twin", 1)
    phone.hear("b", "twin", 2)
    phone.hear("c", "alone", 3)
    talk.chats(3)
    for number, (room, channel, outcome) in enumerate(
        [
            ("nowhere", None, "no_room"),
            ("twin", None, "ambiguous_room"),
            ("alone", "9", "no_room"),
            ("twin", "2", None),
            ("other name", "1", None),
            ("alone", None, None),
        ]
    ):
        talk.reply(f"r/{number}", f"to {room}", room, channel)
        if outcome is None:
            assert talk.acked() == [f"r/{number}"]
        else:
            failed = talk.hear("failed")
            assert (failed["id"], failed["code"]) == (f"r/{number}", outcome)
    assert [(t["room"], t["text"]) for t in phone.settled().of("typed")] == [
        ("twin", "to twin"), ("twin", "to other name"), ("alone", "to alone"),
    ]  # fmt: skip
    talk.reply("r/0", "again", "nowhere", None)
    assert talk.hear("failed")["code"] == "no_room"


def test_rooms_outlive_the_app(relay: Relay, make_phone: MakePhone) -> None:
    """After a restart a chat is written to by its name, if that is one chat's and the app knows it."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    for channel, room in enumerate(["alone", "twin", "twin", "unreached"], 1):
        phone.hear("x", room, channel)
    talk.ack(*talk.chats(4))
    talk.say("ping", {"server_timestamp": 1})
    assert talk.hear("pong")["monitoring"]["active_rooms"] == 4
    phone.kill()
    phone = make_phone(relay.server(), options={"names": ["alone", "twin"]})
    talk = relay.greeted()
    talk.reply("r/0", "one", "was renamed", "1")
    assert talk.acked() == ["r/0"]
    talk.reply("r/1", "two", "twin", "2")
    assert talk.hear("failed")["code"] == "ambiguous_room"
    talk.reply("r/2", "three", "unreached", "4")
    assert talk.hear("failed")["code"] == "no_room"
    assert [(t["how"], t["room"]) for t in phone.settled().of("typed")] == [("send", "alone")]


def test_the_app_throws(relay: Relay, make_phone: MakePhone) -> None:
    """What the app throws while it types is a failure that is reported, and the next reply is typed."""
    phone = make_phone(relay.server(), options={"replyThrows": True, "names": ["family"]})
    talk = relay.greeted()
    phone.hear("a")
    talk.hear("chat")
    talk.reply("m/0", "one")
    failed = talk.hear("failed")
    assert failed["code"] == "internal"
    assert "the notification is gone" in failed["message"]
    phone.act("options", options={"replyThrows": False, "replyRefuses": True})
    talk.reply("m/1", "two")
    assert talk.acked() == ["m/1"]
    assert [(t["how"], t["text"]) for t in phone.settled().of("typed")] == [("send", "two")]


def test_refusal(relay: Relay, make_phone: MakePhone) -> None:
    """Why a phone is refused stands in its log, and its tries become rarer: no refusal begins them anew."""
    phone = make_phone(relay.server(), retryFirst=100, retryMost=400)
    for _ in range(3):
        talk = relay.accept()
        talk.greet(success=False, approved=False, message="너는 안 돼")
        talk.close()
    phone.says("너는 안 돼", 3)
    delays = [
        float(e["text"].split(" in ")[1].split()[0]) for e in phone.of("log") if "again in" in e["text"]
    ]
    assert delays[2] >= 0.2


def test_errors_are_hints(relay: Relay, make_phone: MakePhone) -> None:
    """An error of a handshake is logged, no reason for another dialect, and no reason to forget anything."""
    phone = make_phone(relay.server())
    phone.hear("a")
    for code in ("unsupported_version", "bad_handshake"):
        talk = relay.accept()
        talk.read()
        talk.write(
            b'{"v":4,"event":"error","data":{"code":"%s","message":"m","timestamp":1}}' % code.encode()
        )
        phone.says(f"the relay says {code}: m")
    talk = relay.accept()
    talk.challenge()
    talk.read()
    talk.write(b'{"v":4,"event":"error","data":{"code":"bad_signature","message":"m","timestamp":1}}')
    phone.says("the relay says bad_signature: m")
    talk = relay.greeted()
    assert talk.hear("chat")["text"] == "a"
    talk.say("error", {"code": "internal", "message": "sealed", "timestamp": 1})
    talk.say("something newer", {"x": 1})
    phone.says("the relay says internal: sealed")
    talk.say("ping", {"server_timestamp": 1752570000000})
    pong = talk.hear("pong")
    assert pong["server_timestamp"] == 1752570000000
    assert pong["monitoring"]["total_memory"] >= pong["monitoring"]["memory_usage"] > 0


def test_silence(relay: Relay, make_phone: MakePhone) -> None:
    """A relay that says nothing for long is given up and called again."""
    make_phone(relay.server(), silence=300)
    relay.greeted()
    relay.greeted()


def test_several_servers(make_phone: MakePhone, relay: Relay) -> None:
    """The first server that answers is talked to; the better one is gone back to when it is there again."""
    better = Relay()
    port = better.port
    better.close()
    phone = make_phone({"host": "127.0.0.1", "port": port, "tls": False}, relay.server(), returnFirst=400)
    talk = relay.greeted()
    phone.hear("a")
    first = talk.hear("chat")
    better = Relay(port)
    try:
        probe = better.accept()
        with pytest.raises(EOFError):
            probe.read()
        phone.says("going back")
        talk = better.greeted()
        assert talk.hear("chat")["id"] == first["id"]
        talk.close()
    finally:
        better.close()
    assert relay.greeted().hear("chat")["id"] == first["id"]


def test_recompiled(relay: Relay, make_phone: MakePhone) -> None:
    """A compilation ends threads and socket, and the new run takes over what was not acknowledged."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    chat = talk.hear("chat")
    assert phone.threads() == ["relaytw-reader", "relaytw-sender"]
    phone.act("compile")
    with pytest.raises(EOFError):
        talk.read()
    assert phone.threads() == []
    for told in (True, False):
        phone.act("reload", told=told)
        talk = relay.greeted()
        assert talk.hear("chat")["id"] == chat["id"]
        assert phone.threads() == ["relaytw-reader", "relaytw-sender"]


def test_no_stack(relay: Relay, make_phone: MakePhone) -> None:
    """What is nested so deeply that reading it fails ends a connection, and not the script."""
    phone = make_phone(relay.server())
    phone.hear("a")
    talk = relay.accept()
    talk.read()
    talk.write(b"[" * 500_000)
    phone.says("begins anew")
    assert relay.greeted().hear("chat")["text"] == "a"
    assert phone.threads() == ["relaytw-reader", "relaytw-sender"]

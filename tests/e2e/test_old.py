"""The bridge script and relays that speak 3.3 alone; and those that only seem to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import SECRET, Conversation, Relay


def silent(talk: Conversation) -> None:
    """Say nothing to a hello."""
    with pytest.raises(EOFError):
        talk.read()


def scolding(talk: Conversation) -> None:
    """Answer a hello as an old relay does that does not understand it."""
    talk.write(b'{"event":"error","data":{"code":"bad_line","message":"?","timestamp":1}}')


def greeting(talk: Conversation) -> None:
    """Answer a hello as an old relay does that lets everybody in."""
    talk.write(b'{"event":"handshakeComplete","data":{"success":true,"approved":true,"message":""}}')


def closing(talk: Conversation) -> None:
    """Hang up on a hello."""
    talk.reset()


def fall_back(relay: Relay, answer: Callable[[Conversation], None] = closing) -> Conversation:
    """Answer a hello as an old relay, and the handshake that comes then."""
    talk = relay.accept()
    assert json.loads(talk.read())["event"] == "hello"
    answer(talk)
    talk.close()
    talk = relay.accept()
    packet = json.loads(talk.read())
    assert packet == {
        "event": "handshake",
        "data": {
            "clientType": "MessengerBotR", "botName": "bot", "version": "4.0.0",
            "deviceID": "a1b2c3d4e5f60718", "deviceIP": "127.0.0.1",
            "deviceInfo": "brand MODEL-1 (Android 13, API 33)",
        },
    }  # fmt: skip
    talk.write(b'{"event":"handshakeComplete","data":{"success":true,"approved":true,"message":"hi"}}\r')
    return talk


def hear(talk: Conversation, salt: str = "") -> tuple[str, dict[str, Any], str]:
    """The next packet: its event, its header's data, what stands behind it.  Its signature is right."""
    line = talk.read()
    end = line.rindex(b"}") + 1
    packet = json.loads(line[:end])
    auth = packet["data"]["auth"]
    names = ("clientType", "botName", "deviceUUID", "macAddress", "ipAddress", "timestamp")
    text = "|".join([*(str(auth[name]) for name in names), salt])
    assert auth["signature"] == hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest()
    return packet["event"], packet["data"], base64.b64decode(line[end:]).decode()


def say(talk: Conversation, event: str, raw: list[str], **values: Any) -> None:
    """Say something of which the content stands behind the header."""
    ends = [0]
    for piece in raw:
        ends.append(ends[-1] + len(piece))
    data = {"room": "family", "channel_id": "100", "message_positions": ends, **values}
    talk.write(json.dumps({"event": event, "data": data}).encode() + "".join(raw).encode())


@pytest.mark.parametrize("answer", [silent, scolding, greeting, closing])
def test_falls_back(relay: Relay, make_phone: MakePhone, answer: Callable[[Conversation], None]) -> None:
    """Who does not answer a hello is spoken to in 3.3, the handshake first; what waited is sent, signed."""
    phone = make_phone(relay.server(), challengeTime=300, salt="pepper")
    phone.hear("안녕 😀", room="가족")
    talk = fall_back(relay, answer)
    event, data, text = hear(talk, "pepper")
    assert (event, text) == ("message", "안녕 😀")
    expected = {
        "room": "가족", "channel_id": "100", "sender": "kim", "user_hash": "u1", "log_id": "3100000001",
        "is_group_chat": True, "is_mention": False, "bot_name": "bot", "client_type": "MessengerBotR",
        "message_type": "text", "content_encoding": "base64",
    }  # fmt: skip
    assert {name: data[name] for name in expected} == expected
    assert data["auth"]["deviceID"] == data["auth"]["deviceUUID"] == "a1b2c3d4e5f60718"
    phone.says("(dialect 3.3)")


def test_talk(relay: Relay, make_phone: MakePhone) -> None:
    """In 3.3 texts are typed, media are shown and pings answered."""
    phone = make_phone(relay.server())
    talk = fall_back(relay)
    phone.hear("a")
    assert hear(talk)[2] == "a"
    for number, event in enumerate(["messageResponse", "scheduleMessage", "broadcastMessage"]):
        raw = base64.b64encode(f"에코 {number} 😀".encode()).decode()
        say(talk, event, [raw], message_type="text", content_encoding="base64")
    phone.types("에코 0 😀", "에코 1 😀", "에코 2 😀")
    contents = [b"first" * 1000, b"second"]
    raws = [base64.b64encode(content).decode() for content in contents]
    say(talk, "messageResponse", raws, message_type="image", message_format="png", media_wait_time=10)
    talk.write(b'{"event":"ping","data":{"bot_name":"bot","server_timestamp":1752570000000}}')
    line = json.loads(talk.read())
    assert (line["event"], line["data"]["server_timestamp"]) == ("pong", 1752570000000)
    assert line["data"]["monitoring"]["message_queue_size"] == 0
    (shared,) = phone.of("shared")
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    assert ([f["sha256"].zfill(64) for f in shared["files"]], shared["type"]) == (digests, "image/png")
    say(talk, "messageResponse", [], message_type="image", message_format="png")
    say(talk, "messageResponse", ["b25l"], message_type="text", channel_id="7")
    talk.write(b"rubbish")
    talk.write(b'{"event":"error","data":{"code":"stale","message":"clock","timestamp":1}}')
    phone.says("the relay says stale: clock")
    assert (phone.logs.count("bad_media"), phone.logs.count("no_room")) == (1, 1)


def test_sent_is_not_kept(relay: Relay, make_phone: MakePhone) -> None:
    """3.3 has no acknowledgements: what was written is done; what waits too long is not sent."""
    phone = make_phone(relay.server(), oldDialectAge=2000)
    talk = fall_back(relay)
    phone.hear("a")
    assert hear(talk)[2] == "a"
    phone.wait(lambda: phone.evaluate("RelayBridge.inside.waiting().length") == 0, "an empty queue")
    talk.reset()
    phone.says("lost")
    phone.hear("b")
    phone.evaluate("java.lang.Thread.sleep(2100)")
    phone.hear("c")
    talk = fall_back(relay)
    assert hear(talk)[2] == "c"


def test_tries_anew(relay: Relay, make_phone: MakePhone) -> None:
    """A relay that was updated is spoken to in 4.0 at the next connection."""
    phone = make_phone(relay.server())
    fall_back(relay).reset()
    relay.greeted()
    phone.says("(dialect 4.0)")


def test_never_below_what_was_proven(relay: Relay, make_phone: MakePhone) -> None:
    """Who once proved himself in 4.0 is never spoken to in 3.3 again, by no later run either."""
    phone = make_phone(relay.server())
    relay.greeted().reset()
    for _ in range(2):
        for answer in (closing, scolding):
            talk = relay.accept()
            assert json.loads(talk.read())["event"] == "hello"
            answer(talk)
            talk.close()
            phone.says("3.3 is not spoken to it")
        phone.kill()
        phone = make_phone(relay.server())
    relay.greeted()


def test_refusal_is_a_proof(relay: Relay, make_phone: MakePhone) -> None:
    """A sealed refusal proves as much as a welcome."""
    make_phone(relay.server())
    talk = relay.accept()
    talk.greet(success=False)
    talk.close()
    relay.accept().reset()
    assert json.loads(relay.accept().read())["event"] == "hello"


def test_unsealed_welcome_proves_nothing(relay: Relay, make_phone: MakePhone) -> None:
    """Who cannot seal has proven nothing, and is not kept from being an old relay."""
    make_phone(relay.server())
    talk = relay.accept()
    talk.challenge("another secret")
    talk.read()
    talk.welcome()
    fall_back(relay)


def test_damaged_memory(relay: Relay, make_phone: MakePhone) -> None:
    """Where it is not known who has proven himself, nobody is spoken to in 3.3."""
    phone = make_phone(relay.server())
    relay.greeted()
    phone.kill()
    phone.file("proven").write_bytes(b'{"127.0.0.1:1')
    phone = make_phone(relay.server())
    talk = relay.accept()
    talk.read()
    talk.close()
    phone.says("is damaged")
    phone.says("3.3 is not spoken to it")
    relay.greeted()


def test_no_fallback(relay: Relay, make_phone: MakePhone) -> None:
    """Without leave 3.3 is spoken to nobody."""
    make_phone(relay.server(), fallback=False)
    relay.accept().close()
    relay.greeted()


@pytest.mark.parametrize("code", [b"server_full", b"penalty"])
def test_full_is_not_old(relay: Relay, make_phone: MakePhone, code: bytes) -> None:
    """A relay that is full says so before it knows who speaks what: that makes it no old one."""
    make_phone(relay.server())
    talk = relay.accept()
    talk.read()
    talk.write(b'{"event":"error","data":{"code":"%s","message":"m","timestamp":1}}' % code)
    talk.close()
    relay.greeted()


def test_refused(relay: Relay, make_phone: MakePhone) -> None:
    """A refusal in 3.3 is logged, and begins the back-off no anew."""
    phone = make_phone(relay.server())
    for _ in range(2):
        relay.accept().close()
        talk = relay.accept()
        talk.read()
        talk.write(b'{"event":"handshakeComplete","data":{"success":false,"approved":false,"message":"no"}}')
        talk.close()
    phone.says("refuses this phone: no", 2)

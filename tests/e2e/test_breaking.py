"""The bridge script against a relay of the tests: what breaks or is forged, and what must not come of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import Relay


def test_resent_until_acknowledged(relay: Relay, make_phone: MakePhone) -> None:
    """What was not acknowledged comes again under its id, oldest first, before anything newer."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    for text in "abc":
        phone.hear(text)
    first = talk.chats(3)
    talk.ack(first[1])
    talk.say("ping", {"server_timestamp": 1})
    assert talk.hear("pong")["monitoring"]["message_queue_size"] == 2
    talk.reset()
    phone.says("lost")
    phone.hear("d")
    talk = relay.greeted()
    again = talk.chats(3)
    assert [(c["id"], c["text"], c["resent"]) for c in again[:2]] == [
        (c["id"], c["text"], True) for c in (first[0], first[2])
    ]
    assert (again[2]["text"], again[2]["resent"]) == ("d", False)
    assert again[0]["age"] >= first[0]["age"]


def test_refused(relay: Relay, make_phone: MakePhone) -> None:
    """A message that will never be accepted is not sent again."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    phone.hear("b")
    first, second = talk.chats(2)
    talk.say("refused", {"id": first["id"], "code": "bad_chat", "message": "no"})
    phone.says("bad_chat (no)")
    talk.close()
    assert relay.greeted().hear("chat")["id"] == second["id"]


def test_unsent_outlives_the_app(relay: Relay, make_phone: MakePhone) -> None:
    """What is not acknowledged outlives the app, with its age; new ids are other ones."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    for text in "abc":
        phone.hear(text)
    first = talk.chats(3)
    talk.ack(first[0])
    phone.evaluate("java.lang.Thread.sleep(300)")
    phone.kill()
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("d")
    again = talk.chats(3)
    assert [c["id"] for c in again[:2]] == [c["id"] for c in first[1:]]
    assert [c["resent"] for c in again] == [True, True, False]
    assert again[0]["age"] >= 300
    assert again[2]["id"].split("-")[0] != first[0]["id"].split("-")[0]


def test_bounds(relay: Relay, make_phone: MakePhone) -> None:
    """Without a relay only so many messages wait, of so many bytes, for so long; the oldest go first."""
    phone = make_phone(chatCount=3)
    for text in "abcde":
        phone.hear(text)
    assert phone.evaluate("RelayBridge.inside.waiting().join()") == "c,d,e"
    phone.says("messages were dropped")
    phone.kill()
    phone = make_phone(relay.server(), chatBytes=800)
    talk = relay.greeted()
    assert [c["text"] for c in talk.chats(3)] == ["c", "d", "e"]
    phone.hear("f" * 600)
    assert talk.hear("chat")["text"] == "f" * 600
    phone.kill()
    phone = make_phone(relay.server(), chatAge=60_000)
    assert [c["text"] for c in relay.greeted().chats(1)] == ["f" * 600]
    phone.kill()
    time.sleep(0.3)
    make_phone(relay.server(), chatAge=200).hear("g")
    assert relay.greeted().hear("chat")["text"] == "g"


def test_typed_once(relay: Relay, make_phone: MakePhone) -> None:
    """A reply that comes again is acknowledged again and not typed, after a restart of the script too."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("hi")
    talk.hear("chat")
    talk.reply("m/0", "one")
    talk.reply("m/0", "one")
    talk.reply("m/1", "two")
    ids: list[str] = []
    while len(ids) < 3:
        ids += talk.acked()
    assert ids == ["m/0", "m/0", "m/1"]
    phone.types("one", "two")
    phone.kill()
    phone = make_phone(relay.server())
    talk = relay.greeted()
    assert talk.hello["resume"] == "m/1"
    talk.hear("chat")
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    assert phone.settled().typed == []


def test_killed_while_typing(relay: Relay, make_phone: MakePhone) -> None:
    """A reply whose typing was begun when the app died is not typed again."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("hi")
    talk.hear("chat")
    typed = phone.file("typed")
    phone.evaluate(
        "RelayBridge.inside.Rooms.prototype.type = function () {"
        " while (true) { java.lang.Thread.sleep(1000); } }; 1"
    )
    talk.reply("m/0", "one")
    phone.wait(lambda: b"m/0" in typed.read_bytes(), "a note of the reply")
    phone.kill()
    phone = make_phone(relay.server())
    talk = relay.greeted()
    talk.hear("chat")
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    assert phone.settled().typed == []


def test_resume_is_of_this_server(make_phone: MakePhone, relay: Relay) -> None:
    """A relay is not told the last reply of another one."""
    make_phone(relay.server())
    talk = relay.greeted()
    talk.reply("m/0", "nobody hears this", channel="999")
    assert talk.hear("failed")["code"] == "no_room"
    other = Relay()
    try:
        relay.close()
        make_phone(other.server())
        assert other.greeted().hello["resume"] is None
    finally:
        other.close()


def test_full_storage(relay: Relay, make_phone: MakePhone) -> None:
    """What cannot be noted is not typed; chat that cannot be kept is sent all the same."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.evaluate(
        "RelayBridge.inside.Records.prototype.append = function () { throw new Error('full'); }; 1"
    )
    phone.hear("a")
    assert talk.hear("chat")["text"] == "a"
    talk.reply("m/0", "one")
    assert talk.hear("failed")["code"] == "internal"
    assert phone.typed == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda talk: talk.write(talk.sealed("reply", {}).replace(b'"event"', b'"Event"')),
        lambda talk: talk.write(talk.sealed("ping", {"server_timestamp": 1})[:-1] + b" }"),
        lambda talk: (talk.sealed("ping", {}), talk.say("ping", {"server_timestamp": 1})),
        lambda talk: [talk.write(line) for line in [talk.sealed("ping", {"server_timestamp": 1})] * 2],
        lambda talk: talk.write(b'{"v":4,"event":"ping","data":{"server_timestamp":1}}'),
        lambda talk: talk.write(
            b'{"v":4,"event":"error","data":{"code":"bad_chat","message":"forget it all"}}'
        ),
        lambda talk: talk.write(b"\xff\x00 rubbish"),
        lambda talk: talk.write_part(b"x" * 1_200_000),
    ],
    ids=["edited", "longer", "dropped", "twice", "open", "open error", "rubbish", "endless"],
)
def test_broken_seal(relay: Relay, make_phone: MakePhone, spoil: Any) -> None:
    """A line that is edited, dropped, repeated or not sealed ends the connection, and nothing is lost."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    chat = talk.hear("chat")
    spoil(talk)
    assert relay.greeted().hear("chat")["id"] == chat["id"]
    assert phone.typed == []


def test_cut_anywhere(relay: Relay, make_phone: MakePhone) -> None:
    """A reply of which only a part arrives is typed once it comes whole, once."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    chat = talk.hear("chat")
    talk.ack(chat)
    for size in (1, 60, 90, -1):
        talk.write_part(
            talk.sealed("reply", {"id": "m/0", "room": "family", "channel_id": "100", "text": "one"})[:size]
        )
        talk.reset()
        talk = relay.greeted()
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    phone.types("one")


def test_bad_welcome(relay: Relay, make_phone: MakePhone) -> None:
    """A relay that does not know the secret is not believed, and is not told any chat."""
    phone = make_phone(relay.server())
    talk = relay.accept()
    talk.challenge("another secret")
    talk.read()
    talk.welcome()
    phone.says("a seal is broken")
    phone.hear("secret things")
    with pytest.raises(EOFError):
        talk.read()
    talk = relay.accept()
    talk.challenge()
    talk.hear("proof")
    talk.write(b'{"v":4,"event":"welcome","data":{"success":true,"approved":true}}')
    with pytest.raises(EOFError):
        talk.read()
    assert relay.greeted().hear("chat")["text"] == "secret things"


@pytest.mark.parametrize("cut", [b"", b"\x00\xff\n\n", b"deadbeef +{}\n"], ids=["torn", "rubbish", "bad sum"])
def test_damaged_storage(relay: Relay, make_phone: MakePhone, cut: bytes) -> None:
    """Of a damaged file everything is used that is whole."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    phone.hear("b")
    chats = talk.chats(2)
    talk.reply("m/0", "one")
    talk.acked()
    phone.kill()
    for name in ("chats", "typed"):
        file = phone.file(name)
        content = file.read_bytes()
        file.write_bytes(content + cut if cut else content + content[:30])
    phone.file("rooms").write_bytes(b'[["100","fam')
    phone.file("chats.new").write_bytes(b"half")
    phone = make_phone(relay.server())
    talk = relay.greeted()
    assert [c["id"] for c in talk.chats(2)] == [c["id"] for c in chats]
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    assert phone.settled().typed == []
    phone.says("the rooms that were known are lost")

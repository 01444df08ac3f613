"""The bridge script against a relay of the tests that speaks 4.0: what breaks, and what must not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import Conversation, Relay, source


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
    assert phone.of("typed") == [
        {"event": "typed", "how": "reply", "room": "가족", "channelId": "18000000000000001", "text": "에코\n둘째 줄 😀"}
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
    assert phone.typed == []


def test_killed_while_typing(relay: Relay, make_phone: MakePhone) -> None:
    """A reply whose typing was begun when the app died is not typed again."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("hi")
    talk.hear("chat")
    typed = phone.file("typed")
    phone.evaluate("RelayBridge.inside.Rooms.prototype.type = function () { while (true) { java.lang.Thread.sleep(1000); } }; 1")
    talk.reply("m/0", "one")
    phone.wait(lambda: b"m/0" in typed.read_bytes(), "a note of the reply")
    phone.kill()
    phone = make_phone(relay.server())
    talk = relay.greeted()
    talk.hear("chat")
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    assert phone.typed == []


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
    assert [(t["room"], t["text"]) for t in phone.of("typed")] == [
        ("twin", "to twin"), ("twin", "to other name"), ("alone", "to alone"),
    ]  # fmt: skip
    talk.reply("r/0", "again", "nowhere", None)
    assert talk.hear("failed")["code"] == "no_room"


def test_rooms_outlive_the_app(relay: Relay, make_phone: MakePhone) -> None:
    """After a restart a chat is written to by its name, if there is only one of that name and the app knows it."""
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
    assert [(t["how"], t["room"]) for t in phone.of("typed")] == [("send", "alone")]


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
    assert [(t["how"], t["text"]) for t in phone.of("typed")] == [("send", "two")]


def test_full_storage(relay: Relay, make_phone: MakePhone) -> None:
    """What cannot be noted is not typed; chat that cannot be kept is sent all the same."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.evaluate("RelayBridge.inside.Records.prototype.append = function () { throw new Error('full'); }; 1")
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
        lambda talk: talk.write(b'{"v":4,"event":"error","data":{"code":"bad_chat","message":"forget it all"}}'),
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
        talk.write_part(talk.sealed("reply", {"id": "m/0", "room": "family", "channel_id": "100", "text": "one"})[:size])
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


def test_refusal(relay: Relay, make_phone: MakePhone) -> None:
    """Why a phone is refused stands in its log, and its tries become rarer: no refusal begins them anew."""
    phone = make_phone(relay.server(), retryFirst=100, retryMost=400)
    for _ in range(3):
        talk = relay.accept()
        talk.greet(success=False, approved=False, message="너는 안 돼")
        talk.close()
    phone.says("너는 안 돼", 3)
    delays = [float(e["text"].split(" in ")[1].split()[0]) for e in phone.of("log") if "again in" in e["text"]]
    assert delays[2] >= 0.2


def test_errors_are_hints(relay: Relay, make_phone: MakePhone) -> None:
    """An error of a handshake is logged, no reason for another dialect, and no reason to forget anything."""
    phone = make_phone(relay.server())
    phone.hear("a")
    for code in ("unsupported_version", "bad_handshake"):
        talk = relay.accept()
        talk.read()
        talk.write(b'{"v":4,"event":"error","data":{"code":"%s","message":"m","timestamp":1}}' % code.encode())
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
    assert phone.typed == []
    phone.says("the rooms that were known are lost")


# -- media


def send(talk: Conversation, name: str, contents: list[bytes], **values: Any) -> None:
    """Send a medium in chunks."""
    sources = [source(content) for content in contents]
    talk.media(name, *(described for described, _ in sources), **values)
    for number, (_, chunks) in enumerate(sources):
        for index, chunk in enumerate(chunks):
            talk.chunk(name, number, index, chunk)


def test_media_in_chunks(relay: Relay, make_phone: MakePhone) -> None:
    """Pictures are put together, shown in their chat and deleted; replies behind them wait their turn."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a")
    talk.hear("chat")
    contents = [os.urandom(49152 * 2 + 77), os.urandom(10)]
    (first, parts), (second, (last,)) = source(contents[0]), source(contents[1])
    talk.media("m/0", first, second)
    talk.chunk("m/0", 0, 0, parts[0])
    talk.reply("m/1", "behind")
    talk.chunk("m/0", 0, 1, parts[1])
    talk.chunk("m/0", 0, 2, parts[2])
    talk.say("ping", {"server_timestamp": 5})
    assert talk.hear("pong")["server_timestamp"] == 5
    assert phone.typed == []
    talk.chunk("m/0", 1, 0, last)
    assert [*talk.acked(), *talk.acked()] == ["m/0", "m/1"]
    (shared,) = phone.of("shared")
    assert [(f["size"], f["sha256"].zfill(64)) for f in shared["files"]] == [
        (s["bytes"], s["sha256"]) for s in (first, second)
    ]
    assert (shared["type"], shared["to"], shared["channelId"]) == ("image/jpeg", "com.kakao.talk", "100")
    assert [e["event"] for e in phone.events if e["event"] in ("shared", "home", "typed")] == ["shared", "home", "typed"]
    assert list((phone.folder / "media").iterdir()) == []


@pytest.mark.parametrize("fault", ["digest", "short", "order", "long", "base64", "too large", "no sources"])
def test_bad_media(relay: Relay, make_phone: MakePhone, fault: str) -> None:
    """What does not fit is not shown but reported, and what comes after it is typed."""
    phone = make_phone(relay.server(), mediaBytes=100_000)
    talk = relay.greeted()
    phone.hear("a")
    talk.hear("chat")
    described, chunks = source(b"x" * 50_000)
    if fault == "digest":
        described["sha256"] = "0" * 64
    elif fault == "short":
        chunks[1] = chunks[1][:-1]
    elif fault == "order":
        chunks.reverse()
    elif fault == "long":
        chunks[1] += b"y"
    elif fault == "too large":
        described["bytes"] = 100_001
    talk.media("m/0", *([] if fault == "no sources" else [described]))
    for index, chunk in enumerate(chunks):
        if fault == "base64":
            talk.say("chunk", {"id": "m/0", "source": 0, "index": index, "data": "*" * 100})
        else:
            talk.chunk("m/0", 0, 1 - index if fault == "order" else index, chunk)
    failed = talk.hear("failed")
    assert (failed["id"], failed["code"]) == ("m/0", "bad_media")
    talk.reply("m/1", "behind")
    assert talk.acked() == ["m/1"]
    assert phone.of("shared") == []
    assert list((phone.folder / "media").glob("*")) == []


def test_half_a_medium(relay: Relay, make_phone: MakePhone) -> None:
    """Half a medium does not survive its connection; the whole is shown once, however often it comes."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    described, chunks = source(os.urandom(60_000))
    talk.media("m/0", described)
    talk.chunk("m/0", 0, 0, chunks[0])
    talk.reset()
    talk = relay.greeted()
    for _ in range(2):
        talk.media("m/0", described)
        for index, chunk in enumerate(chunks):
            talk.chunk("m/0", 0, index, chunk)
        assert talk.acked() == ["m/0"]
    assert len(phone.of("shared")) == 1


def test_media_by_address(relay: Relay, make_phone: MakePhone, web: str) -> None:
    """Media that are named by their address are loaded, up to a size; what fails is reported."""
    phone = make_phone(relay.server(), mediaBytes=100_000)
    talk = relay.greeted()
    talk.media("m/0", {"url": f"{web}/small.mp3"}, media="audio", format="mp3")
    assert talk.acked() == ["m/0"]
    (shared,) = phone.of("shared")
    assert (shared["files"][0]["size"], shared["type"], shared["action"]) == (5000, "audio/mpeg", "SEND_MULTIPLE")
    for number, address in enumerate(["/large.mp3", "/missing", "/empty.mp3"], 1):
        talk.media(f"m/{number}", {"url": web + address})
        assert talk.hear("failed")["code"] == "media_failed"
    talk.media("m/9", {"url": "file:///etc/passwd"})
    assert talk.hear("failed")["code"] == "media_failed"
    phone.act("options", options={"shareFails": True})
    talk.media("m/10", {"url": f"{web}/small.mp3"})
    failed = talk.hear("failed")
    assert (failed["code"], "no such activity" in failed["message"]) == ("media_failed", True)
    assert len(phone.of("shared")) == 1


def test_media_without_a_channel(relay: Relay, make_phone: MakePhone) -> None:
    """Without a channel the chat is found by its name, and must have a channel."""
    phone = make_phone(relay.server())
    talk = relay.greeted()
    phone.hear("a", "family", 100)
    phone.hear("b", "nameless", None)
    talk.chats(2)
    for number, (room, code) in enumerate([("family", None), ("nameless", "no_room"), ("nowhere", "no_room")]):
        send(talk, f"m/{number}", [b"x"], room=room, channel_id=None)
        if code is None:
            assert talk.acked() == [f"m/{number}"]
        else:
            assert talk.hear("failed")["code"] == code
    assert phone.of("shared")[0]["channelId"] == "100"


def test_leftover_media(relay: Relay, make_phone: MakePhone, tmp_path: Path) -> None:
    """Files that a run left behind are deleted by the next one, and no others."""
    media = tmp_path / "phone" / "media"
    media.mkdir(parents=True)
    (media / "relay-0123456789abcdef.jpg").write_bytes(b"x")
    (media / "holiday.jpg").write_bytes(b"x")
    make_phone(relay.server())
    assert [path.name for path in media.iterdir()] == ["holiday.jpg"]

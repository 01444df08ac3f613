"""The bridge script and media: in chunks, by their address, whole and broken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import Conversation, Relay, source


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
    talk.media("m/0", first, second, channel_id="18000000000000001")
    talk.chunk("m/0", 0, 0, parts[0])
    talk.reply("m/1", "behind")
    talk.chunk("m/0", 0, 1, parts[1])
    talk.chunk("m/0", 0, 2, parts[2])
    talk.say("ping", {"server_timestamp": 5})
    assert talk.hear("pong")["server_timestamp"] == 5
    assert phone.typed == []
    talk.chunk("m/0", 1, 0, last)
    assert [*talk.acked(), *talk.acked()] == ["m/0", "m/1"]
    (shared,) = phone.settled().of("shared")
    assert [(f["size"], f["sha256"].zfill(64)) for f in shared["files"]] == [
        (s["bytes"], s["sha256"]) for s in (first, second)
    ]
    assert (shared["type"], shared["to"], shared["channelId"]) == (
        "image/jpeg",
        "com.kakao.talk",
        "18000000000000001",
    )
    assert [e["event"] for e in phone.events if e["event"] in ("shared", "home", "typed")] == [
        "shared",
        "home",
        "typed",
    ]
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
    assert phone.settled().of("shared") == []
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
    assert len(phone.settled().of("shared")) == 1


def test_media_by_address(relay: Relay, make_phone: MakePhone, web: str) -> None:
    """Media that are named by their address are loaded, up to a size; what fails is reported."""
    phone = make_phone(relay.server(), mediaBytes=100_000)
    talk = relay.greeted()
    talk.media("m/0", {"url": f"{web}/small.mp3"}, media="audio", format="mp3")
    assert talk.acked() == ["m/0"]
    (shared,) = phone.settled().of("shared")
    assert (shared["files"][0]["size"], shared["type"], shared["action"]) == (
        5000,
        "audio/mpeg",
        "SEND_MULTIPLE",
    )
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
    for number, (room, code) in enumerate(
        [("family", None), ("nameless", "no_room"), ("nowhere", "no_room")]
    ):
        send(talk, f"m/{number}", [b"x"], room=room, channel_id=None)
        if code is None:
            assert talk.acked() == [f"m/{number}"]
        else:
            assert talk.hear("failed")["code"] == code
    assert phone.settled().of("shared")[0]["channelId"] == "100"


def test_leftover_media(relay: Relay, make_phone: MakePhone, tmp_path: Path) -> None:
    """Files that a run left behind are deleted by the next one, and no others."""
    media = tmp_path / "phone" / "media"
    media.mkdir(parents=True)
    (media / "relay-0123456789abcdef.jpg").write_bytes(b"x")
    (media / "holiday.jpg").write_bytes(b"x")
    make_phone(relay.server())
    assert [path.name for path in media.iterdir()] == ["holiday.jpg"]

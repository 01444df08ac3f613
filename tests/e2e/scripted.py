"""A relay of the tests: docs/protocol-4.md once more, from hashlib and hmac, said step by step."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
from typing import Any

from tests.ports import HOST

SECRET = "열려라 참깨 \"\\'"
#: Seconds that a phone has for what it does at once on an idle machine.
PATIENCE = 20.0
_HEAD = b'{"v":4,"mac":"'


def hkdf(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """HKDF-SHA256 of RFC 5869."""
    key, block, made, count = hmac.digest(salt, secret, "sha256"), b"", b"", 0
    while len(made) < size:
        count += 1
        block = hmac.digest(key, block + info + bytes([count]), "sha256")
        made += block
    return made[:size]


def keys(secret: str, phone: str, relay: str, hello: bytes, challenge: bytes) -> tuple[bytes, bytes]:
    """The phone's key and the relay's, from the nonces and the two lines."""
    transcript = hashlib.sha256(hello + b"\n" + challenge).digest()
    salt = bytes.fromhex(phone + relay)
    phone_key = hkdf(secret.encode(), salt, b"relaytw 4 phone" + transcript, 32)
    return phone_key, hkdf(secret.encode(), salt, b"relaytw 4 relay" + transcript, 32)


def seal(key: bytes, seq: int, event: str, data: Any) -> bytes:
    """A sealed line, without its end."""
    body = json.dumps(data, ensure_ascii=False)
    covered = f'"seq":{seq},"event":{json.dumps(event)},"data":{body}}}'.encode()
    return _HEAD + hmac.new(key, covered, "sha256").hexdigest().encode() + b'",' + covered


class Relay:
    """Listens on loopback; whoever connects is taken up by the test when it likes."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server((HOST, port))
        self._listener.settimeout(PATIENCE)
        self._tls = tls
        self.port: int = self._listener.getsockname()[1]
        self.conversations: list[Conversation] = []

    def server(self, **values: Any) -> dict[str, Any]:
        """What the phone's settings say of it."""
        return {"host": HOST, "port": self.port, "tls": self._tls is not None, "fingerprint": None, **values}

    def accept(self, seconds: float = PATIENCE) -> Conversation:
        """Take up the next connection.  Raises TimeoutError, and OSError where TLS fails."""
        self._listener.settimeout(seconds)
        plain, _ = self._listener.accept()
        plain.settimeout(PATIENCE)
        try:
            wire = plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            raise
        conversation = Conversation(wire)
        self.conversations.append(conversation)
        return conversation

    def greeted(self, **welcome: Any) -> Conversation:
        """Take up the next connection and let it in."""
        conversation = self.accept()
        conversation.greet(**welcome)
        return conversation

    def close(self) -> None:
        """Listen no more, and hang up."""
        self._listener.close()
        for conversation in self.conversations:
            conversation.close()


class Conversation:
    """One connection, from the relay's end."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._held = b""
        self._phone_key = self._relay_key = b""
        self.heard = 0
        self.said = 0
        self.hello: dict[str, Any] = {}

    # -- lines

    def read(self) -> bytes:
        """The next line.  Raises EOFError at the end, TimeoutError when nothing comes."""
        while b"\n" not in self._held:
            try:
                data = self._wire.recv(65536)
            except ConnectionError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line

    def write(self, line: bytes) -> None:
        """Say a line as it is."""
        self._wire.sendall(line + b"\n")

    def write_part(self, data: bytes) -> None:
        """Say something that is no line yet."""
        self._wire.sendall(data)

    def packet(self) -> dict[str, Any]:
        """The next open line."""
        return dict(json.loads(self.read()))

    # -- dialect 4.0

    def greet(self, secret: str = SECRET, **welcome: Any) -> None:
        """Hello, challenge, proof, welcome."""
        self.challenge(secret)
        assert self.hear("proof") == {}
        self.welcome(**welcome)

    def challenge(self, secret: str = SECRET) -> None:
        """Read the hello and answer it."""
        hello = self.read()
        packet = json.loads(hello)
        assert (packet["v"], packet["event"]) == (4, "hello"), packet
        self.hello = packet["data"]
        nonce = os.urandom(16).hex()
        data = {"version": 4, "nonce": nonce, "server_version": "scripted"}
        line = json.dumps({"v": 4, "event": "challenge", "data": data}).encode()
        self._phone_key, self._relay_key = keys(secret, self.hello["nonce"], nonce, hello, line)
        self.write(line)

    def welcome(self, **values: Any) -> None:
        """Let it in, or not."""
        limits = {"line_bytes": 1 << 20, "text_chars": 65000}
        welcome = {
            "success": True,
            "approved": True,
            "message": "",
            "server_version": "scripted",
            "limits": limits,
        }
        self.say("welcome", {**welcome, **values})

    def sealed(self, event: str, data: Any) -> bytes:
        """The next line to say."""
        self.said += 1
        return seal(self._relay_key, self.said, event, data)

    def say(self, event: str, data: Any) -> None:
        """Say something sealed."""
        self.write(self.sealed(event, data))

    def hear(self, event: str) -> dict[str, Any]:
        """The data of the next line, which must be sealed and of this event."""
        packet = self.hear_any()
        assert packet["event"] == event, packet
        return dict(packet["data"])

    def hear_any(self) -> dict[str, Any]:
        """The next line, which must be sealed."""
        line = self.read()
        self.heard += 1
        assert line.startswith(_HEAD), line
        covered = line[80:]
        assert hmac.compare_digest(
            line[14:78].decode(), hmac.new(self._phone_key, covered, "sha256").hexdigest()
        )
        assert covered.startswith(b'"seq":%d,"event":' % self.heard), covered[:60]
        return dict(json.loads(line))

    def chats(self, count: int) -> list[dict[str, Any]]:
        """The next so many chats."""
        return [self.hear("chat") for _ in range(count)]

    def ack(self, *chats: dict[str, Any]) -> None:
        """Acknowledge messages."""
        self.say("ack", {"ids": [chat["id"] for chat in chats]})

    def reply(self, id_: str, text: str, room: str = "family", channel: str | None = "100") -> None:
        """Have something typed."""
        data = {"id": id_, "kind": "response", "room": room, "channel_id": channel, "text": text}
        self.say("reply", data)

    def media(self, id_: str, *sources: dict[str, Any], **values: Any) -> None:
        """Have something shown."""
        media = {
            "id": id_,
            "kind": "response",
            "room": "family",
            "channel_id": "100",
            "media": "image",
            "format": "jpg",
        }
        self.say("media", {**media, "wait_ms": 10, "sources": sources, **values})

    def chunk(self, id_: str, source: int, index: int, content: bytes) -> None:
        """A part of a source."""
        data = {"id": id_, "source": source, "index": index, "data": base64.b64encode(content).decode()}
        self.say("chunk", data)

    def acked(self) -> list[str]:
        """The ids of the next acknowledgement."""
        ids: list[str] = self.hear("ack")["ids"]
        return ids

    # -- the end

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def reset(self) -> None:
        """Hang up with a RST."""
        self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._wire.close()


def source(content: bytes, size: int = 49152) -> tuple[dict[str, Any], list[bytes]]:
    """What a medium says of a source that comes in chunks, and the chunks."""
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    digest = hashlib.sha256(content).hexdigest()
    return {"bytes": len(content), "chunks": len(chunks), "sha256": digest}, chunks

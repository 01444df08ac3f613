"""Lines as scripts write them, spelt out by hand, and a test case that reads them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, ErrorCode
from relaytw.protocols.wire import decode
from tests.unit.protocols.wire.strategies import first_outcome


def line(value: Any, raw: bytes = b"") -> bytes:
    r"""A line as a script writes it: what UTF-8 cannot carry becomes `\ud83d`."""
    return json.dumps(value).encode() + raw


def analyze(**fields: Any) -> bytes:
    return line({"event": "analyze", "data": {"room": "room", "text": "text"} | fields})


def analyze_raw(member: bytes) -> bytes:
    """Chat of 3.2 with one more member, put in as bytes."""
    return b'{"event":"analyze","data":{"room":"room","text":"text",' + member + b"}}"


def message(raw: bytes = b"dGV4dA==", **fields: Any) -> bytes:
    return line({"event": "message", "data": {"room": "room"} | fields}, raw)


#: An `auth` object that says nothing.
NO_AUTH = Auth("", "", "", "", "", "", 0, "", "")


class ReadingTests(SynchronousTestCase):
    def chat(self, line: bytes) -> Chat:
        packet = decode(line)
        assert isinstance(packet, Chat)
        return packet

    def refused(self, line: bytes, code: ErrorCode = ErrorCode.BAD_LINE) -> str:
        """Why the line is no packet; nor is it as a first line."""
        with self.assertRaises(BadLine) as caught:
            decode(line)
        self.assertIs(caught.exception.code, code)
        self.assertIsInstance(first_outcome(line), BadLine)
        return str(caught.exception)

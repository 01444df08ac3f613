"""Reading a phone's lines: everything that scripts in the field really send."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from relaytw.messages import Chat, Dialect, ErrorCode, Handshake, Monitoring, Pong, Unknown
from relaytw.protocols.wire import decode, decode_first
from tests.unit.protocols.wire.lines import NO_AUTH, ReadingTests, analyze, line, message


class ChatTests(ReadingTests):
    def test_everything_but_room_and_text_may_be_missing(self) -> None:
        """Older scripts leave fields out; a missing id is null, never a word."""
        expected = Chat("room", "text", "", None, None, None, False, False, "", None)
        self.assertEqual(decode_first(analyze()), (expected, Dialect.V32))
        self.assertEqual(decode_first(message()), (expected, Dialect.V33))
        self.refused(line({"event": "analyze", "data": {"room": "room"}}))
        self.refused(line({"event": "message", "data": {}}))

    def test_null_fields(self) -> None:
        """A null is as good as a missing field, and a null channel id stays null."""
        for chat, extra in (
            (analyze, ("channelId", "logId", "userHash", "isGroupChat", "isMention")),
            (message, ("channel_id", "log_id", "user_hash", "is_group_chat", "is_mention")),
        ):
            nulls: dict[str, Any] = dict.fromkeys(("sender", "timestamp", "auth", *extra))
            self.assertEqual(decode(chat(**nulls)), decode(chat()))

    def test_numeric_ids(self) -> None:
        """Ids that a script sends as numbers are the text of them, digit by digit."""
        chat = self.chat(analyze(channelId=18000000000000001, logId=2**63 + 1, userHash=-1))
        self.assertEqual(
            (chat.channel_id, chat.log_id, chat.user_hash), ("18000000000000001", str(2**63 + 1), "-1")
        )
        chat = self.chat(message(channel_id=18000000000000001, log_id=0))
        self.assertEqual((chat.channel_id, chat.log_id), ("18000000000000001", "0"))

    def test_unknown_fields(self) -> None:
        """Fields nobody knows are ignored, as the second code path of the script needs."""
        self.assertEqual(
            decode(analyze(packageName="com.kakao.talk", threadId="x", more={"a": [1]})), decode(analyze())
        )
        self.assertEqual(decode(message(message_type="text", more=None)), decode(message()))

    def test_names_are_those_of_the_dialect(self) -> None:
        """A field in the other dialect's spelling is an unknown field."""
        self.assertIsNone(self.chat(analyze(channel_id="1")).channel_id)
        self.assertIsNone(self.chat(message(channelId="1")).channel_id)

    def test_auth_timestamps(self) -> None:
        """A signed time may be a number, digits or missing; a float loses what no clock shows."""
        for timestamp, read in (
            (1752570000000, 1752570000000),
            ("1752570000000", 1752570000000),
            (1.5, 1),
            (None, 0),
        ):
            auth = self.chat(analyze(auth={"timestamp": timestamp})).auth
            assert auth is not None
            self.assertEqual(auth.timestamp, read)


class ContentTests(ReadingTests):
    def test_positions_are_not_trusted(self) -> None:
        """Everything behind the header is the text, whatever the phone counted."""
        whole = message(b64encode("안녕하세요".encode()))
        for positions in ([0, 0], [0, 1], [0, 10**9], [-5, 3], [], None, "x", {"a": 1}):
            chat = self.chat(message(b64encode("안녕하세요".encode()), message_positions=positions))
            self.assertEqual(chat, decode(whole))
            self.assertEqual(chat.text, "안녕하세요")

    def test_long_text(self) -> None:
        """The longest text a script sends arrives whole, in both dialects."""
        for text in ("x" * 65_000, "가" * 65_000, "\U0001f600" * 65_000):
            self.assertEqual(self.chat(message(b64encode(text.encode()))).text, text)
            self.assertEqual(self.chat(analyze(text=text)).text, text)

    def test_braces_in_strings(self) -> None:
        """Braces in names and ids do not end the header early."""
        chat = self.chat(message(room="}{", sender='}}"', is_group_chat=True))
        self.assertEqual((chat.room, chat.sender, chat.text), ("}{", '}}"', "text"))

    def test_text_cut_within_a_character(self) -> None:
        """A character that was cut in half becomes U+FFFD, the rest stays."""
        self.assertEqual(self.chat(message(b64encode("가나".encode()[:-1]))).text, "가\ufffd")

    def test_an_empty_text(self) -> None:
        """Nothing behind the header is an empty text."""
        self.assertEqual(self.chat(message(b"")).text, "")

    def test_content_that_is_no_base64(self) -> None:
        """Content that is cut, mixed with other characters or of another encoding is refused."""
        for raw in (
            b"d",
            b"dGV4d",
            b"dGV4dA=",
            b"dGV4\0dA==",
            b"dGV4dA==dGV4",
            "텍스트".encode(),
            b"dGV4dA==}",
        ):
            self.refused(message(raw))
        self.refused(message(content_encoding="gzip"))


class HandshakeTests(ReadingTests):
    required = {"botName": "demo-bot", "version": "3.2.2", "deviceID": "a1b2"}  # noqa: RUF012 (never changed)

    def test_only_three_fields_are_required(self) -> None:
        """Name, device and version make a handshake, bare in 3.2 and wrapped in 3.3."""
        for value, dialect in (
            (self.required, Dialect.V32),
            ({"event": "handshake", "data": self.required}, Dialect.V33),
        ):
            read = Handshake(dialect, "demo-bot", "a1b2", "3.2.2")
            self.assertEqual(decode_first(line(value)), (read, dialect))

    def test_a_field_missing(self) -> None:
        """A handshake without a name, device or version is told so by a code of its own."""
        for name in self.required:
            left = {key: value for key, value in self.required.items() if key != name}
            for fields in (left, left | {name: None}, left | {name: 1}):
                for value in (fields, {"event": "handshake", "data": fields}):
                    self.assertIn(name, self.refused(line(value), ErrorCode.BAD_HANDSHAKE))

    def test_a_handshake_without_data(self) -> None:
        """A wrapped handshake around nothing is a bad handshake too."""
        self.refused(line({"event": "handshake"}), ErrorCode.BAD_HANDSHAKE)

    def test_names_too_long(self) -> None:
        """Names that no table holds, or that are none, are refused; long device information is cut."""
        for fields in ({"botName": "가" * 31}, {"deviceID": "x" * 101}, {"botName": " "}):
            for value in (self.required | fields, {"event": "handshake", "data": self.required | fields}):
                self.refused(line(value), ErrorCode.BAD_HANDSHAKE)
        packet = decode(
            line(self.required | {"botName": "가" * 30, "deviceID": "x" * 100, "deviceInfo": "y" * 999})
        )
        assert isinstance(packet, Handshake)
        self.assertEqual((packet.bot, packet.device, packet.device_info), ("가" * 30, "x" * 100, "y" * 255))

    def test_the_abandoned_version(self) -> None:
        """The handshake of an abandoned script version is told what is wrong, by a code of its own."""
        why = self.refused(b'{"type":"handshake","auth":{},"info":{}}', ErrorCode.UNKNOWN_DIALECT)
        self.assertIn("script", why)
        self.refused(b'{"type":"handshake"}', ErrorCode.UNKNOWN_DIALECT)


class PongTests(ReadingTests):
    def test_either_event_in_either_dialect(self) -> None:
        """`ping` and `pong` are both the answer to a ping, and the signed version tells the dialect."""
        for event, guess in (("ping", Dialect.V32), ("pong", Dialect.V33)):
            for version, dialect in (
                ("3.2.2", Dialect.V32),
                ("3.3.3", Dialect.V33),
                ("", guess),
                ("9", guess),
            ):
                data = {"server_timestamp": 1752570000000, "auth": {"version": version}}
                packet = Pong(1752570000000, None, NO_AUTH._replace(version=version))
                self.assertEqual(decode_first(line({"event": event, "data": data})), (packet, dialect))

    def test_figures(self) -> None:
        """A phone's figures may be whole, broken or missing."""
        figures = {
            "total_memory": 512,
            "memory_usage": 101.5,
            "message_queue_size": 3.0,
            "active_rooms": None,
        }
        packet = Pong(None, Monitoring(512.0, 101.5, 0.0, 3, 0), None)
        self.assertEqual(decode(line({"event": "pong", "data": {"monitoring": figures}})), packet)

    def test_an_echo_that_is_no_integer(self) -> None:
        """Only the integer we sent can come back as our time stamp."""
        for echo in (1.5, "1752570000000", None):
            self.assertEqual(
                decode(line({"event": "ping", "data": {"server_timestamp": echo}})), Pong(None, None, None)
            )


class UnknownTests(ReadingTests):
    def test_unknown_events(self) -> None:
        """An event the relay does not know is a packet of its own, its name cut to size."""
        auth = {"botName": "b", "timestamp": 5}
        read = Unknown("x" * 50, NO_AUTH._replace(bot="b", timestamp=5))
        self.assertEqual(decode(line({"event": "x" * 60, "data": {"auth": auth}})), read)

    def test_unknown_events_with_a_bad_auth(self) -> None:
        """What cannot be read of an unknown event is left out of it."""
        bad: tuple[Any, ...] = (None, 1, {"botName": 1}, {"timestamp": -1}, {"timestamp": "x"})
        nothing: tuple[Any, ...] = (None, [], {})
        for data in (*nothing, *({"auth": auth} for auth in bad)):
            self.assertEqual(decode(line({"event": "other", "data": data})), Unknown("other", None))

    def test_the_relays_own_words(self) -> None:
        """A relay's packet sent back is unknown, so that two relays cannot keep each other busy."""
        self.assertEqual(
            decode(line({"event": "messageResponse", "data": {}})), Unknown("messageResponse", None)
        )


class HalfAnEmojiTests(ReadingTests):
    def test_in_a_handshake(self) -> None:
        """A bare handshake is mended too, wherever in it the half of a character stands."""
        for name in ("deviceInfo", "botName", "somethingElse"):
            fields = {"botName": "bot", "version": "3.2.2", "deviceID": "phone"} | {name: "x\ud83d"}
            packet = decode(line(fields))
            assert isinstance(packet, Handshake)
            self.assertEqual(packet.bot, "x\ufffd" if name == "botName" else "bot")

"""What phones and the relay can say, and what strangers can, as Hypothesis strategies."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from relaytw.errors import BadLine
from relaytw.messages import (
    Auth,
    Chat,
    ClientKey,
    Dialect,
    Handshake,
    Media,
    Monitoring,
    Packet,
    Part,
    Reply,
    ReplyKind,
    Text,
)
from relaytw.protocols.wire import decode, decode_first
from relaytw.protocols.wire.phone import encode_chat, encode_handshake, encode_pong

#: A busy machine is no reason to fail: nothing here is about time.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What scripts in the field have sent, and what has broken parsers before.
ODD_TEXTS = (
    "",
    "}",
    '{"event":"ping"}',
    "\\",
    '"',
    "\u2028\u2029\u0085",
    "\r",
    "\n",
    "\x00\x01\x1f\x7f",
    "\u202eabc\u202c\u200f",
    "안녕하세요",
    "e\u0301\u1112\u1161\u11ab",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0010ffff\ufffe\uffff\ufeff",
    "|||",
    "None",
)

#: Those without seals; 4.0 has tests of its own.
dialects = st.sampled_from((Dialect.V32, Dialect.V33))
texts = st.one_of(st.text(), st.lists(st.sampled_from(ODD_TEXTS), max_size=4).map("".join))
#: Text as a careless script may hold it: with halves of emoji.
halves_of_emoji = st.sampled_from(["\ud83d", "\ude00", "\udfff"])
broken_texts = texts | st.lists(halves_of_emoji | st.text(max_size=3), max_size=6).map("".join)
ids = st.none() | texts
milliseconds = st.integers(0, 2**53 - 1)
addresses = st.ip_addresses(v=4).map(str)

auths = st.builds(
    Auth,
    client_type=texts,
    bot=texts,
    device_uuid=texts,
    device=texts,
    mac=texts,
    ip=addresses,
    timestamp=milliseconds,
    version=texts,
    signature=texts,
)

chats = st.builds(
    Chat,
    room=texts,
    text=texts,
    sender=texts,
    channel_id=ids,
    log_id=ids,
    user_hash=ids,
    is_group_chat=st.booleans(),
    is_mention=st.booleans(),
    timestamp=texts,
    auth=st.none() | auths,
    id=st.just(""),
    age_ms=st.just(0),
    resent=st.just(False),
)

handshakes = st.builds(
    Handshake,
    dialect=dialects,
    bot=st.text(max_size=30).filter(str.strip),
    device=st.text(max_size=100),
    version=texts,
    client_type=texts.filter(bool),
    device_ip=addresses,
    device_info=st.text(max_size=255),
)

memory = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**31 - 1)
monitorings = st.builds(Monitoring, memory, memory, memory, counts, counts)

URL_LETTERS = "abcXYZ019-._~:/?#[]@!$&'()*+,;=%"
urls = st.text(URL_LETTERS, min_size=1, max_size=40).map("https://example.org/".__add__)
files = st.binary(min_size=1, max_size=100)
waits = st.none() | st.integers(0, 60_000)
linked = st.builds(
    Media,
    sources=st.lists(urls, min_size=1, max_size=4).map(tuple),
    kind=st.sampled_from(["image", "audio", "video", "document"]),
    format=st.sampled_from(["jpg", "mp3", "pdf"]),
    wait_ms=waits,
)
pictures = st.builds(
    Media,
    sources=st.lists(files, min_size=1, max_size=4).map(tuple),
    kind=st.just("image"),
    format=st.sampled_from(["jpg", "png"]),
    wait_ms=waits,
)
media = linked | pictures
written = st.builds(Text, broken_texts.filter(bool))


def replies(parts: st.SearchStrategy[Part]) -> st.SearchStrategy[Reply]:
    """Replies made of these parts, to rooms of any name."""
    return st.builds(
        Reply,
        client=st.builds(ClientKey, broken_texts, broken_texts),
        room=broken_texts,
        channel_id=st.none() | broken_texts,
        part=parts,
        trace=st.just("t1"),
        kind=st.sampled_from(ReplyKind),
    )


valid_lines = st.one_of(
    handshakes.map(encode_handshake),
    st.builds(encode_chat, dialects, chats, texts),
    st.builds(encode_pong, dialects, texts, milliseconds, st.none() | monitorings, st.none() | auths),
).map(lambda line: line.removesuffix(b"\n"))

#: Names that mean something in one dialect or the other.
field_names = st.sampled_from(
    [
        "room", "text", "sender", "channelId", "channel_id", "logId", "isGroupChat", "timestamp", "auth",
        "botName", "deviceID", "version", "deviceInfo", "server_timestamp", "monitoring", "total_memory",
        "message_queue_size", "content_encoding", "signature", "event", "data", "type",
    ]
)  # fmt: skip

#: JSON values of any shape, under names that the codec looks for.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(field_names, inner, max_size=6),
    max_leaves=12,
)

#: Pieces that mean something to a parser, to be put where they do not belong.
FRAGMENTS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\ud83d", b"\\u0000", b"\0", b"\r", b"\n",
    b"\xff", b"\xed\xa0\xbd", b"\xef\xbb\xbf", b"null", b"true", b"NaN", b"-Infinity", b"1e999",
    b"-1", b"9" * 30, b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b'"event":"ping",', b'"data":null,',
)  # fmt: skip


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    """A valid packet with a few bytes cut out, replaced or put in."""
    line = draw(valid_lines)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.integers(0, 12)))
        line = line[:start] + draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=4)) + line[end:]
    return line


def outcome(line: bytes) -> Packet | BadLine:
    """What one line comes to: a packet or a BadLine.  Any other exception passes."""
    try:
        return decode(line)
    except BadLine as error:
        return error


def first_outcome(line: bytes) -> tuple[Packet, Dialect] | BadLine:
    """What a first line comes to: a packet with its dialect or a BadLine."""
    try:
        return decode_first(line)
    except BadLine as error:
        return error

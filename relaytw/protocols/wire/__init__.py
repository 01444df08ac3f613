"""The wire, sans I/O: lines to packets and back, dialects 3.2 and 3.3.

`decode` reads what a phone says, `encode_…` writes what the relay says, `phone` is the other end of
both.  Nothing here knows a transport, and bytes from a stranger give a packet or a `BadLine`.
"""

from relaytw.protocols.wire.framing import LineBuffer
from relaytw.protocols.wire.reading import decode, decode_first
from relaytw.protocols.wire.signatures import Verifier, sign
from relaytw.protocols.wire.writing import (
    encode_error,
    encode_handshake_complete,
    encode_ping,
    encode_reply,
)

__all__ = [
    "LineBuffer",
    "Verifier",
    "decode",
    "decode_first",
    "encode_error",
    "encode_handshake_complete",
    "encode_ping",
    "encode_reply",
    "sign",
]

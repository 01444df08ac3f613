"""The wire, sans I/O: lines to packets and back, dialects 3.2, 3.3 and 4.0.

`decode` reads what a phone says, `encode_…` writes what the relay says, `phone` is the other end of
both.  Nothing here knows a transport, and bytes from a stranger give a packet or a `BadLine`.
"""

from relaytw.protocols.wire.framing import LineBuffer
from relaytw.protocols.wire.reading import decode, decode_first, decode_kept
from relaytw.protocols.wire.seals import HEAD as SEALED
from relaytw.protocols.wire.seals import NONCE_BYTES, Opener, Sealer, derive, leave_open
from relaytw.protocols.wire.signatures import Verifier, sign
from relaytw.protocols.wire.v40_reading import decode_v40
from relaytw.protocols.wire.v40_writing import (
    VERSIONS,
    encode_ack,
    encode_challenge,
    encode_refused,
    encode_unsupported,
    encode_welcome,
)
from relaytw.protocols.wire.writing import (
    encode_error,
    encode_handshake_complete,
    encode_ping,
    encode_reply,
)

__all__ = [
    "NONCE_BYTES",
    "SEALED",
    "VERSIONS",
    "LineBuffer",
    "Opener",
    "Sealer",
    "Verifier",
    "decode",
    "decode_first",
    "decode_kept",
    "decode_v40",
    "derive",
    "encode_ack",
    "encode_challenge",
    "encode_error",
    "encode_handshake_complete",
    "encode_ping",
    "encode_refused",
    "encode_reply",
    "encode_unsupported",
    "encode_welcome",
    "leave_open",
    "sign",
]

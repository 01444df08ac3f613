"""Pictures over real sockets and from real threads."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import pytest
from PIL import Image

from relaytw.messages import Dialect
from tests.integration.relay_process import Site, eventually, scenario


@pytest.mark.parametrize("dialect", [Dialect.V32, Dialect.V33])
@scenario(30)
async def test_imgext(shared: Site, dialect: Dialect) -> None:
    """`# IMGEXT` sends one picture for each word, together, with the wait that was asked for."""
    phone = await shared.phone(f"artist-{dialect}", dialect=dialect)
    phone.wire.say("room", "# IMGEXT 1 둘 three --media-wait-time=7000")
    await eventually(lambda: phone.replies, "pictures")
    (reply,) = phone.replies
    assert reply.media_wait_time == 7000
    sizes = [Image.open(BytesIO(b64decode(one))).size for one in reply.media]
    assert sizes == [(100, 100)] * 3

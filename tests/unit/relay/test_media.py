"""Pictures of a whole relay: from the handler to the phone, in its dialect."""

from __future__ import annotations

import importlib.util
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from relaytw.bots import Image, Media
from relaytw.messages import Dialect
from relaytw.protocols.wire.phone import ReplyPacket
from tests.unit.relay.harness import RelayTestCase
from tests.unit.relay.phones import Phone
from tests.unit.test_pictures import noise, picture

EXAMPLE = Path(__file__).parents[3] / "examples" / "pictures.py"


class MediaTests(RelayTestCase):
    dialect = Dialect.V32

    def on(self) -> Phone:
        """A phone that is on and has shown who it is."""
        return self.proven(dialect=self.dialect)

    def pictures(self, phone: Phone) -> list[tuple[int, int]]:
        """How large the pictures are that the phone was sent."""
        (reply,) = phone.heard()
        assert isinstance(reply, ReplyPacket)
        return [Pillow.open(BytesIO(b64decode(one))).size for one in reply.media]

    def test_pictures(self) -> None:
        """Pictures arrive together, as wide as the phone wants them at most."""
        phone = self.on()
        phone.say("# wait")
        self.let_go(Image(picture("PNG", 1800, 600), picture("PNG", 40, 40)))
        self.assertEqual(self.pictures(phone), [(900, 300), (40, 40)])

    def test_too_large(self) -> None:
        """A picture that no line of the phone's could hold goes as a smaller one."""
        phone = self.on()
        phone.say("# wait")
        large = noise("PNG", 900, 600)
        self.let_go(Image(large))
        (line,) = phone.packets
        assert isinstance(line, ReplyPacket)
        self.assertLess(len(line.media[0]), self.relay.config.limits.line_bytes)
        self.assertGreater(len(large), self.relay.config.limits.line_bytes)

    def test_by_url(self) -> None:
        """URLs are the phone's to fetch."""
        phone = self.on()
        phone.say("# wait")
        self.let_go(Media("video", "https://example.org/a.mp4", wait_ms=9000))
        (reply,) = phone.heard()
        assert isinstance(reply, ReplyPacket)
        self.assertEqual((reply.media, reply.media_wait_time), (("https://example.org/a.mp4",), 9000))


class Media33Tests(MediaTests):
    dialect = Dialect.V33


class ExampleTests(RelayTestCase):
    def test_dice(self) -> None:
        """The example of the documents throws dice."""
        spec = importlib.util.spec_from_file_location("pictures_example", EXAMPLE)
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        (command,) = module.bot.commands
        for eyes in range(1, 7):
            self.assertEqual(Pillow.open(BytesIO(module.die(eyes))).size, (120, 120))
        phone = self.proven()
        phone.say("# wait")
        message, _ = self.waiting[0]
        message.text = "# dice 3"
        self.let_go(command(message))
        (total,) = [one for one in phone.heard() if isinstance(one, ReplyPacket)]
        self.assertRegex(str(total.text), r"^.*: \d+$")
        self.advance(1)
        (dice,) = [one for one in phone.heard() if isinstance(one, ReplyPacket)]
        self.assertEqual(len(dice.media), 3)

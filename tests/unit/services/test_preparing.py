"""Media on their way from a handler to the outbox: in order, fit for the phone, and given up in time."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image as Pillow
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw import texts
from relaytw.bots import Image, Media, Text
from relaytw.errors import BadMedia
from relaytw.messages import ClientKey, Dialect, Message, PhoneInfo, Status
from relaytw.messages import Media as ReadyMedia
from relaytw.services.preparing import ENVELOPE, MediaSettings, Preparer
from tests.unit.services.fakes import Bench, FakeThreads
from tests.unit.test_pictures import noise, picture

CLIENT = ClientKey("bot", "phone")


def phone(dialect: Dialect = Dialect.V33, width: int = 100, line: int = 1_048_576) -> PhoneInfo:
    """A phone that takes lines of this length and pictures of this width."""
    return PhoneInfo(
        CLIENT, dialect, "3", "", "", Status.APPROVED, 0.0, 0.0, None, None, 0, True, width, line
    )  # fmt: skip


def at_once(work: Callable[..., Any], *args: object) -> Deferred[Any]:
    """Stands for a thread that is done at once."""
    return Deferred.fromCoroutine(_now(work, *args))


async def _now(work: Callable[..., Any], *args: object) -> object:
    return work(*args)


class PreparerTests(SynchronousTestCase):
    def ready(self, *drafts: Media | Text, to: PhoneInfo | None = None, **limits: int) -> list[Any]:
        preparer = Preparer(at_once, lambda _: to, MediaSettings(**limits))
        return self.successResultOf(Deferred.fromCoroutine(preparer.ready(CLIENT, drafts)))

    def refused(self, *drafts: Media, to: PhoneInfo | None = None, **limits: int) -> str:
        preparer = Preparer(at_once, lambda _: to, MediaSettings(**limits))
        failure = self.failureResultOf(Deferred.fromCoroutine(preparer.ready(CLIENT, drafts)), BadMedia)
        return str(failure.value)

    def test_width(self) -> None:
        """A picture is as wide as its phone wants it, or as usual if the phone is away."""
        for to, width in ((phone(), 100), (None, 900), (phone(width=0), 1000)):
            (made,) = self.ready(Image(picture("PNG", 1000)), to=to)
            self.assertEqual(Pillow.open(BytesIO(made.sources[0])).width, width)
            self.assertEqual((made.kind, made.format), ("image", "png"))

    def test_split(self) -> None:
        """Pictures that one line does not hold together go in several, and each of them holds."""
        pictures = [noise("JPEG", 80, 80) for _ in range(5)]
        line = ENVELOPE + 2 * 4 * (len(pictures[0]) // 3 + 3)
        made = self.ready(Image(*pictures), to=phone(line=line))
        self.assertEqual([len(one.sources) for one in made], [2, 2, 1])
        self.assertEqual([source for one in made for source in one.sources], pictures)

    def test_order(self) -> None:
        """URLs, contents of several formats and texts stay in their order."""
        url = "https://example.org/1.jpg"
        jpeg, png = picture("JPEG", 50), picture("PNG", 50)
        made = self.ready(Text("a"), Image(jpeg, url, png, png), Text("b"))
        self.assertEqual(
            [one if isinstance(one, Text) else one.sources for one in made],
            [Text("a"), (jpeg,), (url,), (png, png), Text("b")],
        )

    def test_wait(self) -> None:
        """The wait is computed from count and size where the author gives none."""
        content = picture("PNG", 50)
        self.assertEqual(self.ready(Image(content, content))[0].wait_ms, 7000 + 2 * len(content) // 100)
        self.assertEqual(self.ready(Image(content, wait_ms=0))[0].wait_ms, 0)

    def test_other_kinds(self) -> None:
        """Other files go as they are where the dialect takes them and they fit."""
        self.assertEqual(
            self.ready(Media("audio", b"x" * 99, wait_ms=1)), [ReadyMedia((b"x" * 99,), "audio", "mp3", 1)]
        )
        self.assertIn("by URL only", self.refused(Media("audio", b"x"), to=phone(Dialect.V32)))
        self.assertIn("this phone takes", self.refused(Media("video", b"x" * 9000), to=phone(line=9000)))

    def test_too_much(self) -> None:
        """An answer that the outbox could not keep as a whole is refused."""
        drafts = [Media("document", b"x" * 600) for _ in range(2)]
        self.assertEqual(len(self.ready(*drafts, outbox_bytes=1200)), 2)
        self.assertIn("limits.outbox_bytes", self.refused(*drafts, outbox_bytes=1199))

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        self.assertIn("no-such-file.png", self.refused(Image("no-such-file.png")))


class ParcelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.media_threads = FakeThreads()
        self.preparer = Preparer(self.defer, lambda _: phone(), MediaSettings(waiting=2))
        self.bench = Bench(preparer=self.preparer)
        self.picture = Image(picture("PNG", 10), wait_ms=0)

    def defer(self, work: Callable[..., object], *args: object) -> Deferred[object]:
        return self.media_threads(lambda: work(*args))

    def answer(self, text: str, *said: Any, result: Any = None, tell_errors: bool = False) -> None:
        def handler(message: Message) -> object:
            for one in said:
                message.reply(one)
            if isinstance(result, Exception):
                raise result
            return result

        self.bench.on(text, handler, tell_errors=tell_errors)

    def test_order(self) -> None:
        """What a message says behind its picture waits for it; other messages do not."""
        self.answer("draw", "one", self.picture, "two", result="three")
        self.answer("talk", result="talk")
        self.bench.say("draw")
        self.bench.say("talk", room="other")
        self.assertEqual(self.bench.said, ["room: one", "other: talk"])
        self.media_threads.finish()
        self.bench.clock.pump([1] * 5)
        self.assertEqual(self.bench.said[2:], ["room: media", "room: two", "room: three"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_keeps_its_place(self) -> None:
        """The message is finished, and its room's next one starts, when its picture is sent."""
        self.bench = Bench(per_room=1, preparer=self.preparer)
        self.answer("draw", result=self.picture)
        self.answer("talk", result="talk")
        self.bench.say("draw")
        self.bench.say("talk")
        self.assertEqual((self.bench.said, self.bench.intake.unfinished), ([], 2))
        self.media_threads.finish()
        self.assertEqual(self.bench.said, ["room: media", "room: talk"])

    def test_bad_picture(self) -> None:
        """A picture that cannot be sent costs that answer alone, is logged, and told where errors are."""
        self.answer("draw", "before", Image(b"rubbish"), result="after", tell_errors=True)
        self.bench.say("draw")
        self.media_threads.finish()
        self.bench.clock.pump([1] * 3)
        self.assertEqual(self.bench.said[:2], ["room: before", "room: after"])
        self.assertEqual(
            self.bench.said[2],
            "room: " + texts.BAD_MEDIA.format(why="a picture is none of JPEG, PNG, WEBP, GIF"),
        )
        self.assertEqual((self.bench.metrics.failed, self.bench.leftovers()), (1, {}))

    def test_failed_handler(self) -> None:
        """What a handler has said before it fails is sent, and the failure is told behind it."""
        self.answer("draw", self.picture, result=ValueError("no"), tell_errors=True)
        self.bench.say("draw")
        self.assertEqual((self.bench.said, self.bench.intake.unfinished), ([], 0))
        self.media_threads.finish()
        self.bench.clock.pump([1] * 2)
        self.assertEqual(self.bench.said, ["room: media", "room: " + texts.HANDLER_FAILED])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_failed_handler_and_picture(self) -> None:
        """A bad picture of a handler that has failed too leaves nothing behind."""
        self.answer("draw", Image(b"rubbish"), result=ValueError("no"))
        message = self.bench.say("draw")
        self.media_threads.finish()
        self.assertTrue(message.over)
        self.assertEqual((self.bench.said, len(self.parcels())), ([], 0))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_time_out(self) -> None:
        """The handler's time-out holds for its media too; they are given up."""
        self.answer("draw", result=self.picture, tell_errors=True)
        self.bench.say("draw")
        self.bench.clock.advance(300)
        self.assertEqual(self.bench.said, ["room: " + texts.HANDLER_TIMED_OUT])
        self.media_threads.finish()
        self.assertEqual((len(self.bench.said), len(self.parcels()), self.bench.leftovers()), (1, 0, {}))

    def test_blocking(self) -> None:
        """A blocking handler gives its thread back while its picture is made ready."""
        self.bench.on("draw", lambda message: self.picture, blocking=True)
        self.bench.say("draw")
        self.bench.threads.finish()
        self.assertEqual((self.bench.said, self.bench.pool.at_work), ([], 0))
        self.media_threads.finish()
        self.assertEqual((self.bench.said, self.bench.leftovers()), (["room: media"], {}))

    def test_bounds(self) -> None:
        """Of more messages than may wait for media the next one fails."""
        self.answer("draw", result=self.picture, tell_errors=True)
        for room in ("one", "two", "three"):
            self.bench.say("draw", room=room)
        self.assertEqual(len(self.bench.said), 1)
        self.assertIn("media.waiting", self.bench.said[0])
        self.assertEqual(len(self.media_threads.working), 2)

    def parcels(self) -> Any:
        return self.bench.dispatcher._answers.parcels

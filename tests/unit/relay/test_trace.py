"""The life of a message can be asked for afterwards, also after a restart; tracing never disturbs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from relaytw.admin.outbox import Trace
from relaytw.errors import Unavailable
from relaytw.messages import Dialect, Outcome
from tests.unit.relay.journals import JournalTestCase

FOLDER = Path("relay-state/trace")


class TraceTests(JournalTestCase):
    def find(self, name: str) -> Trace:
        """What the relay tells of it."""
        post: Any = self.relay.operator.outbox
        found: Trace = self.successResultOf(Deferred.fromCoroutine(post.trace(name)))
        return found

    def test_message(self) -> None:
        """When it came, when its handler began and ended; by its id and by its trace id."""
        self.proven(dialect=Dialect.V33).say("# wait")
        self.advance(3)
        self.let_go(["one", "two"])
        self.advance(5)
        message = self.messages[0]
        (found,) = self.find(message.id).messages
        self.assertEqual((found.trace, found.replies, found.room), (message.trace, 2, "room"))
        self.assertAlmostEqual(found.ended - (found.started or 0), 3.0, places=3)
        self.assertLessEqual(found.received, found.accepted + 0.001)
        self.assertEqual(self.find(message.trace).messages, [found])
        ends = [(one.id, one.stage) for one in self.find(message.id).replies]
        second = f"{message.id}/1"
        self.assertEqual(
            ends,
            [(second, "waiting"), (f"{message.id}/0", "sent-unconfirmed"), (second, "sent-unconfirmed")],
        )
        self.restart()
        self.assertEqual(self.find(message.id).messages, [found])
        written = "".join(path.read_text() for path in FOLDER.iterdir())
        self.assertNotIn("# wait", written)

    def test_lost(self) -> None:
        """A reply that is given up is there with its reason."""
        phone = self.proven()
        phone.say("# wait")
        phone.hang_up()
        self.let_go("late")
        self.advance(301)
        replies = self.find(self.messages[0].trace).replies
        self.assertEqual([(one.stage, one.why) for one in replies],
                         [("waiting", ""), (Outcome.EXPIRED, "expired")])  # fmt: skip

    def test_unheard_of(self) -> None:
        """Of what nobody has seen nothing is known; nor of a part of a name."""
        self.proven().say("# echo 1")
        name = self.messages[0].id if self.messages else "x"
        for unknown in ("nothing", name[:-1], "", '"', "\ud83d"):
            found = self.find(unknown)
            self.assertEqual((found.messages, found.replies), ([], []), unknown)

    def test_off(self) -> None:
        """It can be switched off; then nothing is written and that is said."""
        self.start({"trace": {"days": 0}})
        self.proven().say("# echo 1")
        self.advance(2)
        self.assertFalse(FOLDER.exists())
        post: Any = self.relay.operator.outbox
        self.failureResultOf(Deferred.fromCoroutine(post.trace("x")), Unavailable)

    def test_disk(self) -> None:
        """If it cannot be written it is lost, counted, and nothing else is."""
        FOLDER.parent.mkdir(exist_ok=True)
        FOLDER.write_text("in the way")
        self.addCleanup(FOLDER.unlink)
        phone = self.proven()
        phone.say("# echo 1")
        self.advance(2)
        self.assertEqual(len(phone.texts), 1)
        self.assertEqual(self.stages.metrics.rows_dropped["trace"], 1)

"""Phones of dialect 4.0 where it is not plain who they are, or what is known of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from relaytw.intake import Job
from relaytw.messages import CloseReason, Dialect, Status
from tests.unit.relay.harness import Sections
from tests.unit.relay.phones import Phone
from tests.unit.relay.sealed import Sealed
from tests.unit.relay.v40 import V40TestCase


class DowngradeTests(V40TestCase):
    def older(self, dialect: Dialect = Dialect.V33) -> Phone:
        """The same device, of the same installation, in an older dialect; its handshake is said."""
        return self.connect(dialect=dialect).hello()

    def on(self, device: str = "phone-1", resume: str | None = None) -> Sealed:
        """A 4.0 phone that has been let in."""
        return self.arrive(device).greet(resume=resume, uuid=f"uuid-{device}").prove()

    def test_not_below(self) -> None:
        """A device that has proven itself in 4.0 is turned away in any older dialect, and told why."""
        self.on().hang_up()
        for dialect in (Dialect.V32, Dialect.V33):
            self.assertClosed(self.older(dialect), CloseReason.OLD_DIALECT, "old_dialect")

    def test_implicit(self) -> None:
        """Nor does a signed packet stand for its handshake."""
        self.on().hang_up()
        phone = self.connect()
        phone.say("# echo hi")
        self.assertClosed(phone, CloseReason.OLD_DIALECT, "old_dialect")
        self.assertEqual(phone.texts, [])

    def test_upgrade(self) -> None:
        """A device that was approved in 3.2 may go over to 4.0, and not back; while it is on, neither."""
        old = self.proven()
        self.on()
        self.assertTrue(old.closed)
        self.assertClosed(self.older(), CloseReason.OLD_DIALECT, "old_dialect")

    def test_other_installation(self) -> None:
        """Whoever goes over to 4.0 must be the installation that was approved."""
        self.proven()
        other = self.arrive().greet(uuid="another").prove()
        self.assertClosed(other, CloseReason.WRONG_IDENTITY, "wrong_identity")

    def test_kept(self) -> None:
        """The table remembers it, through a kill and through edits of the row."""
        self.on()
        self.advance(3)
        self.restart()
        self.assertClosed(self.older(), CloseReason.OLD_DIALECT, "old_dialect")

    def test_database_away(self) -> None:
        """While the database is away it holds all the same, and is written down when that is back."""
        self.proven().hang_up()
        self.advance(3)
        self.database.go_away()
        self.on().hang_up()
        self.assertClosed(self.older(), CloseReason.OLD_DIALECT, "old_dialect")
        self.database.come_back()
        self.advance(10)
        pins = self.database.rows("SELECT device_uuid FROM kb_bot_devices")
        self.assertEqual(pins, [("4.0|uuid-phone-1",)])
        self.assertClosed(self.older(), CloseReason.OLD_DIALECT, "old_dialect")

    def test_allowed(self) -> None:
        """Approved anew it may speak an older dialect, until it next proves itself in 4.0."""
        self.on().hang_up()
        self.set_device(Status.APPROVED)
        old = self.older()
        old.say("# echo hi")
        self.assertEqual(old.texts, ["에코: hi"])
        self.on()
        self.assertClosed(self.older(), CloseReason.OLD_DIALECT, "old_dialect")


class LookupTests(V40TestCase):
    """Messages of which nobody can say yet whether they may run."""

    def again_when_back(self, phone: Sealed) -> None:
        """The database is back, and what was not acknowledged comes again: it runs once, and is."""
        phone.vanish()
        self.database.come_back()
        self.advance(60)
        phone = self.on()
        phone.say_as("1", "# echo hi", age=70, resent=True)
        self.flushLoggedErrors()
        self.assertEqual((phone.texts, phone.acks), (["에코: hi"], ["1"]))
        phone.typed("1/0")

    def known_room(self) -> Sealed:
        """A phone of whose room the table knows, and this run of the relay does not yet."""
        self.on().say_as("0", "# echo hi").typed("0/0").hang_up()
        self.advance(3)
        self.restart()
        phone = self.on()
        self.advance(3)
        return phone

    def test_device(self) -> None:
        """What a phone says whose device cannot be looked up is neither lost nor acknowledged."""
        self.on().hang_up()
        self.advance(3)
        self.database.go_away()
        self.restart()
        phone = self.arrive().greet().prove()
        self.advance(6)
        phone.say_as("1", "# echo hi")
        self.advance(1)
        self.again_when_back(phone)

    def test_room(self) -> None:
        """Nor what is said in a room that cannot be."""
        phone = self.known_room()
        self.database.go_away()
        phone.say_as("1", "# echo hi")
        self.advance(15)
        self.again_when_back(phone)

    def test_slowly(self) -> None:
        """What was acknowledged before the look-up failed stays in the journal for the next start."""
        phone = self.known_room()
        self.database.hold()
        phone.say_as("1", "# echo hi")
        self.advance(30)
        self.flushLoggedErrors()
        kept = self.look().unfinished_messages
        self.database.let_go()
        self.assertTrue(phone.texts or kept or not phone.acks)
        phone.typed("1/0")


class CrowdedTests(V40TestCase):
    """More devices wait for approval than may have a row."""

    sections: ClassVar[Sections] = {"auth": {"approve_new_devices": False}, "database": {"pending_rows": 1}}

    def test_acknowledged(self) -> None:
        """What is said over one without a row is acknowledged: the table was asked, and has answered."""
        for device in ("phone-1", "phone-2", "phone-3"):
            self.arrive(device).greet().prove()
            self.advance(3)
        phone = self.arrive("phone-4").greet().prove()
        phone.say_as("1", "# echo hi")
        self.assertEqual((phone.texts, phone.acks), ([], ["1"]))


class WindowTests(V40TestCase):
    """What is known of what was said before."""

    sections: ClassVar[Sections] = {"journal": {"segment_bytes": 65536}}

    def test_resume_of_what_is_said_again(self) -> None:
        """To have come to a reply that waits anew says nothing of others that were written before it."""
        phone = self.on()
        phone.say_as("1", "# wait", room="a")
        self.waiting[0][0].reply("working")
        phone.typed("1/0").say_as("2", "# echo two", room="b")
        self.look()
        self.advance(1)
        self.restart()
        self.advance(1)
        self.waiting[0][0].reply("working")
        phone = self.on(resume="1/0")
        self.assertEqual(phone.pushed, ["2/0"])
        phone.typed("2/0")
        self.let_go()

    def test_forgotten(self) -> None:
        """What the journal does not hold any more after a restart may have run: its handler is told so."""
        phone = self.on()
        phone.say_as("1", "# wait")
        self.let_go("done")
        phone.typed("1/0")
        for number in range(12):
            phone.say_as(f"x{number}", "y" * 20_000)
            self.advance(0.1)
        self.look()
        self.restart()
        self.advance(5)
        phone = self.on(resume="1/0")
        phone.say_as("1", "# wait", resent=True, age=20)
        self.assertTrue(self.messages[-1].redelivered)
        self.let_go("done")
        phone.typed("1/0")

    def test_screened_once(self) -> None:
        """What is written anew after a failed sync was dispatched before, and is not put in order again."""
        phone, held = self.on(), self.hold_syncs()
        screened: list[str] = []

        def screen(jobs: Sequence[Job], _dispatch: object) -> Sequence[Job]:
            screened.extend(job.message.id for job in jobs)
            return jobs

        self.stages.intake.screen = screen  # type: ignore[attr-defined]
        phone.say_as("1", "# wait")
        held[0].errback(OSError(5, "Input/output error"))
        self.advance(2)
        held[1].callback(None)
        self.assertEqual((screened, phone.acks), (["1"], ["1"]))
        self.let_go("done")
        phone.typed("1/0")
        self.flushLoggedErrors()

    def test_on_a_full_disk(self) -> None:
        """Repeats that wait for the disk are kept as one, however many there are."""
        phone = self.on()
        phone.say_as("1", "# echo 1").typed("1/0")
        self.journal._failed(OSError(28, "No space left on device"))
        acks = len(phone.acks)
        for _ in range(3000):
            phone.say_as("1", "# echo 1", resent=True)
        self.assertLess(len(self.stages.intake._held), 10)  # type: ignore[attr-defined]
        self.assertEqual(len(phone.acks), acks)
        self.advance(3)
        self.flushLoggedErrors()
        self.assertEqual(len(phone.acks), acks + 3000)


class ApprovedWhileOnTests(V40TestCase):
    """A device that is approved while it is connected."""

    sections: ClassVar[Sections] = {"auth": {"approve_new_devices": False}}

    def setUp(self) -> None:
        """It has said something since."""
        super().setUp()
        phone = self.arrive().greet(uuid="uuid-phone-1").prove()
        self.set_device(Status.APPROVED)
        phone.say_as("1", "# echo hi").typed("1/0").hang_up()

    def test_not_below(self) -> None:
        """It is not accepted in an older dialect from then on."""
        old = self.connect(dialect=Dialect.V33).hello()
        self.assertClosed(old, CloseReason.OLD_DIALECT, "old_dialect")

    def test_pinned(self) -> None:
        """Nor is another installation of its name."""
        other = self.arrive().greet(uuid="other").prove()
        self.assertClosed(other, CloseReason.WRONG_IDENTITY, "wrong_identity")

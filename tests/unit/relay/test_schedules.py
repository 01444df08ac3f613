"""Schedules of the back office: each run once when it is due, made up for when late, and logged honestly."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import PushRefused
from relaytw.admin.scheduling import NewSchedule, Schedule
from relaytw.messages import Status
from relaytw.protocols.wire.phone import ReplyPacket
from relaytw.store.times import WallClock
from tests.unit.books import done
from tests.unit.relay.harness import BOT, RelayTestCase
from tests.unit.relay.phones import Phone

ADMIN = Caller("admin")
#: One run that failed, and one that was written to a phone.
LOGGED = (("failed", "failed"), ("partial", "sent-unconfirmed"))
WALL = WallClock("Asia/Seoul")


class ScheduleTestCase(RelayTestCase):
    @property
    def desk(self) -> Any:
        """Who takes schedules in."""
        return self.relay.operator.pushing.schedules

    def known(self) -> Phone:
        """A phone whose room the relay knows."""
        phone = self.proven(answers=True)
        phone.say("hello")
        self.advance(0)
        phone.heard()
        return phone

    def clock_at(self, later: float = 0.0) -> str:
        """The wall time some seconds from now."""
        return WALL.text(self.now() + later)

    def row(self, **columns: Any) -> int:
        """A row that the back office has written; its number."""
        at = self.clock_at(60)
        values = {
            "title": "t", "target_bot_name": BOT, "target_device_id": "phone-1", "target_room_id": "room",
            "message_text": "좋은 아침", "schedule_type": "daily", "schedule_time": at[11:],
            "valid_from": "2020-01-01 00:00:00", "valid_until": "9999-12-31 23:59:59", "status": "active",
            "next_send_at": at, **columns,
        }  # fmt: skip
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self.database.change(f"INSERT INTO kb_schedule ({names}) VALUES ({marks})", *values.values())
        return int(self.database.rows("SELECT MAX(id) FROM kb_schedule")[0][0])

    def logs(self) -> list[tuple[Any, ...]]:
        """What the log says: status, exact outcome and components of each run."""
        return self.database.rows("SELECT status, outcome, send_components FROM kb_schedule_logs ORDER BY id")

    def stored(self, columns: str, number: int = 1) -> tuple[Any, ...]:
        """Columns of a schedule."""
        return self.database.rows(f"SELECT {columns} FROM kb_schedule WHERE id = ?", number)[0]

    def replies(self, phone: Phone) -> list[ReplyPacket]:
        """What it was given to type."""
        return [packet for packet in phone.packets if isinstance(packet, ReplyPacket)]


class ScheduleTests(ScheduleTestCase):
    def test_on_time(self) -> None:
        """A row that somebody else has written is run at its second, once a day, and its row moves on."""
        phone = self.known()
        at, following = self.clock_at(60), self.clock_at(60 + 86_400)
        self.row()
        self.advance(59)
        self.assertEqual(phone.texts, [])
        self.assertEqual(self.logs(), [])
        self.advance(1.01)
        self.assertEqual(phone.texts, ["좋은 아침"])
        self.assertEqual(len(self.logs()), 1)
        self.advance(60)
        self.assertEqual(self.logs(), [("partial", "sent-unconfirmed", "text")])
        self.assertEqual(self.stored("status, send_count, last_sent_at"), ("active", 1, at))
        self.assertEqual(self.stored("next_send_at"), (following,))
        self.assertEqual(self.database.rows("SELECT scheduled_at FROM kb_schedule_logs"), [(at,)])

    def test_steps(self) -> None:
        """Text, first and second images are sent in this order, so many seconds apart."""
        phone = self.known()
        image = [{"base64": b64encode(b"png").decode(), "name": "a.png"}]
        self.row(
            message_images_1=json.dumps(image * 2), message_images_2=json.dumps(image),
            media_wait_time_1=2000, image_storage_mode="base64", send_interval_seconds=5,
        )  # fmt: skip
        self.advance(60.1)
        self.assertEqual(len(self.replies(phone)), 1)
        self.advance(5)
        self.assertEqual(len(self.replies(phone)), 2)
        self.advance(5)
        self.assertEqual(len(self.replies(phone)), 3)
        self.advance(60)
        self.assertEqual(self.logs(), [("partial", "sent-unconfirmed", "text,images_1,images_2")])

    def test_away(self) -> None:
        """A phone that is away leaves a run waiting, then expired: that is a failure, never a success."""
        self.known().vanish()
        self.row()
        self.advance(70)
        self.assertEqual(self.logs(), [("partial", "waiting", "text")])
        self.advance(300)
        self.assertEqual(self.logs(), [("failed", "expired", "text")])

    def test_caught_up(self) -> None:
        """What was due while the relay was down is made up for within the window, once."""
        self.known()
        self.row()
        self.advance(10)
        self.kill()
        self.clock.rightNow += 200
        self.start(self.sections)
        self.proven(answers=True)
        self.advance(30)
        self.assertEqual([log[0] for log in self.logs()], ["partial"])
        self.kill()
        self.start(self.sections)
        self.proven(answers=True)
        self.advance(60)
        self.assertEqual(self.logs(), [("partial", "sent-unconfirmed", "text")])

    def test_missed(self) -> None:
        """What is later than that is skipped, logged with how often, and goes on at its next time."""
        self.known()
        number = self.row()
        self.advance(10)
        self.kill()
        self.clock.rightNow += 3 * 86_400
        self.start(self.sections)
        self.proven(answers=True)
        self.advance(1)
        self.assertEqual(self.logs(), [("failed", "expired", "")])
        ((why,),) = self.database.rows("SELECT error_message FROM kb_schedule_logs")
        self.assertIn("missed 3 times", why)
        self.assertEqual(self.stored("status, send_count", number), ("active", 0))
        self.database.change("UPDATE kb_schedule SET status = 'inactive'")

    def test_once(self) -> None:
        """What is to be said once is completed then."""
        phone = self.known()
        at = self.clock_at(60)
        self.row(schedule_type="once", schedule_date=at[:10])
        self.advance(61)
        self.assertEqual(phone.texts, ["좋은 아침"])
        self.assertEqual(self.stored("status, next_send_at"), ("completed", None))
        self.advance(60)
        self.assertEqual(len(self.logs()), 1)

    def test_several_times(self) -> None:
        """Several times a day are as many runs, though they lie a minute apart."""
        self.known()
        times = f'["{self.clock_at(60)[11:]}", "{self.clock_at(120)[11:]}"]'
        self.row(schedule_times=times, next_send_at=None)
        self.advance(130)
        self.assertEqual(len(self.logs()), 2)

    def test_edited(self) -> None:
        """What the back office changes is heeded within seconds, its next time or not."""
        phone = self.known()
        number = self.row()
        self.advance(10)
        self.database.change(
            "UPDATE kb_schedule SET schedule_time = ? WHERE id = ?", self.clock_at(20)[11:], number
        )
        self.advance(21)
        self.assertEqual(len(phone.texts), 1)
        self.database.change("UPDATE kb_schedule SET status = 'inactive'")
        self.advance(60)
        self.assertEqual(len(self.logs()), 1)

    def test_bad(self) -> None:
        """A row that cannot be understood is marked, with the reason in row and log; others run."""
        phone = self.known()
        bad = self.row(schedule_times="[9")
        self.row()
        self.advance(61)
        self.assertEqual(phone.texts, ["좋은 아침"])
        status, why = self.stored("status, last_error", bad)
        self.assertEqual((status, why), ("error", "schedule_times is no JSON"))
        self.assertIn(("failed", "failed", ""), self.logs())

    def test_fault(self) -> None:
        """A fault of ours with one schedule stops that one, visibly, and keeps no other from running."""
        phone = self.known()
        composer: Any = self.relay.getServiceNamed("schedules")
        composer = composer._composer
        run = composer.run

        def broken(number: int, at: float, next_at: str | None) -> Any:
            if number == 1:
                raise RuntimeError("a fault")
            return run(number, at, next_at)

        composer.run = broken
        self.row()
        self.row(message_text="점심")
        self.advance(61)
        self.assertEqual(phone.texts, ["점심"])
        self.assertEqual(self.stored("status"), ("error",))
        self.assertEqual(self.stored("status", 2), ("active",))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_not_approved(self) -> None:
        """A room that is not approved is told nothing, and the log says why."""
        phone = self.known()
        self.set_room(Status.DENIED)
        self.row()
        self.advance(61)
        self.assertEqual((phone.texts, self.logs()), ([], [("failed", "failed", "text")]))
        ((why,),) = self.database.rows("SELECT error_message FROM kb_schedule_logs")
        self.assertIn("not approved", why)

    def test_images_that_cannot_be_had(self) -> None:
        """Images that are missing, outside of the folder, or of no sense fail the run and nothing else."""
        self.known()
        for images in ('[{"path": "/x.jpg"}]', "[9", '[{"name": "x"}]', '{"path": "x"}'):
            self.row(message_images_1=images)
        self.advance(61)
        self.assertEqual([log[0] for log in self.logs()], ["failed"] * 4)
        self.assertEqual(self.stored("status"), ("active",))

    def test_database_away(self) -> None:
        """What is due while the database is away is run when it is back."""
        phone = self.known()
        self.row()
        self.advance(10)
        self.database.go_away()
        self.advance(60)
        self.database.come_back()
        self.advance(10)
        self.assertEqual(phone.texts, ["좋은 아침"])
        self.advance(60)

    def test_desk(self) -> None:
        """Schedules are made, rest, go on, run out of turn and are deleted by those who may."""
        phone = self.known()
        made = self.add(times=[self.clock_at(60)[11:16]])
        self.assertEqual((made.status, made.every), ("active", "daily"))
        self.assertEqual(done(self.desk.change("pause", made.id, ADMIN)).status, "inactive")
        self.advance(120)
        self.assertEqual(phone.texts, [])
        done(self.desk.change("run-now", made.id, ADMIN))
        self.advance(1)
        self.assertEqual(phone.texts, ["hi"])
        self.advance(60)
        (run,) = done(self.desk.runs(made.id, ADMIN))
        self.assertEqual((run.status, run.outcome), ("partial", "sent-unconfirmed"))
        self.assertEqual(done(self.desk.change("resume", made.id, ADMIN)).status, "active")
        other = Caller("token:x", frozenset({"other"}))
        self.assertEqual(done(self.desk.schedules(None, 10, other))[0], [])
        for verb in ("pause", "delete", "run-now"):
            self.assertRefused("unknown_schedule", self.desk.change(verb, made.id, other))
        done(self.desk.change("delete", made.id, ADMIN))
        self.assertRefused("unknown_schedule", self.desk.change("pause", made.id, ADMIN))

    def add(self, **about: Any) -> Schedule:
        """Make a schedule."""
        usual = {
            "title": "t",
            "bot": BOT,
            "room_id": "room",
            "every": "daily",
            "text": "hi",
            "times": ["09:00"],
        }
        made: Schedule = done(self.desk.add(NewSchedule(**{**usual, **about}), ADMIN))
        return made

    def assertRefused(self, code: str, work: Any) -> None:
        """Something is refused under that code."""
        with self.assertRaises(PushRefused) as caught:
            done(work)
        self.assertEqual(caught.exception.code, code)

    def test_bad_requests(self) -> None:
        """A schedule that could not be run is not made."""
        for about in (
            {"times": ["noon"]}, {"every": "weekly"}, {"every": "once"},
            {"every": "once", "date": "2001-01-01"},
            {"valid_until": "2001-01-01 00:00:00"},
        ):  # fmt: skip
            with self.assertRaises(PushRefused):
                self.add(**about)
        with self.assertRaises(PushRefused):
            self.add(text=None)


class FileTests(ScheduleTestCase):
    sections = {"schedules": {"media_root": "data"}}  # noqa: RUF012 (as the harness has it)

    def test_files(self) -> None:
        """Images are read from the back office's folder, and from nowhere else."""
        phone = self.known()
        Path("data/schedule").mkdir(parents=True)
        Path("data/schedule/a.jpg").write_bytes(b"jpg")
        Path("secret.txt").write_text("x", encoding="utf-8")
        self.row(message_images_1='[{"path":"/schedule/a.jpg","name":"a.jpg"}]', message_text=None)
        self.row(message_images_1='[{"path":"../secret.txt"}]')
        self.advance(61)
        (reply,) = self.replies(phone)
        self.assertIsNone(reply.text)
        self.advance(60)
        self.assertEqual(
            sorted(log[:2] for log in self.logs()), [("failed", "failed"), ("partial", "sent-unconfirmed")]
        )

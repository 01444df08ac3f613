"""What is said without a question: kept, sent once when it is due, and told honestly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import BroadcastBody, MediaBody, Push, PushBody, PushRefused, RoomNamed, RoomTags
from relaytw.errors import Unavailable
from relaytw.messages import Status
from relaytw.protocols.wire.phone import ReplyPacket
from tests.unit.books import done
from tests.unit.relay.harness import BOT, RelayTestCase
from tests.unit.relay.phones import Phone

ADMIN = Caller("admin")


class PushTestCase(RelayTestCase):
    """A relay and what may be asked of it; every room that a phone speaks in is approved."""

    def known(self, *rooms: str, device: str = "phone-1", answers: bool = False) -> Phone:
        """A phone whose rooms the relay knows."""
        phone = self.proven(device, answers=answers)
        for room in rooms or ("room",):
            phone.say("hello", room=room)
        self.advance(0)
        phone.heard()
        return phone

    @property
    def desk(self) -> Any:
        """Who takes pushes in."""
        return self.relay.operator.pushing.pushes

    @property
    def casts(self) -> Any:
        """Who takes broadcasts in."""
        return self.relay.operator.pushing.broadcasts

    def push(self, caller: Caller = ADMIN, **body: Any) -> Push:
        """Ask for a push to a room of the phone."""
        where = {} if "room_id" in body else {"bot": BOT, "room": "room"}
        answer: Push = done(self.desk.push(PushBody(**{"text": "news", **where, **body}), caller))
        return answer

    def outcome(self, push: Push) -> str:
        """What has become of it."""
        (room,) = done(self.desk.find(push.id, ADMIN)).rooms
        return str(room.outcome)

    def assertRefused(self, code: str, work: Any) -> PushRefused:
        """Something is refused under that code."""
        with self.assertRaises(PushRefused) as caught:
            done(work)
        self.assertEqual(caught.exception.code, code, str(caught.exception))
        refused: PushRefused = caught.exception
        return refused


class OneRoomTests(PushTestCase):
    def test_now(self) -> None:
        """A push is there at once, and is called sent only when the phone shows that it lives."""
        phone = self.known()
        push = self.push(media=[MediaBody(urls=["https://example.org/1.jpg"])])
        self.advance(1)
        heard = [packet for packet in phone.packets if isinstance(packet, ReplyPacket)]
        self.assertEqual([packet.text for packet in heard], ["news", None])
        self.assertEqual(heard[0].room, "room")
        phone.pong()
        self.advance(0)
        self.assertEqual(self.outcome(push), "sent-unconfirmed")

    def test_away(self) -> None:
        """What waits for a phone is waiting, and reaches it once when it comes."""
        self.known().vanish()
        push = self.push()
        self.advance(10)
        self.assertEqual(self.outcome(push), "waiting")
        phone = self.proven()
        self.advance(1)
        phone.pong()
        self.advance(0)
        self.assertEqual(self.outcome(push), "sent-unconfirmed")

    def test_expired(self) -> None:
        """What nobody came for has expired, and is never called sent."""
        self.known().vanish()
        push = self.push()
        self.advance(301)
        self.assertEqual(self.outcome(push), "expired")

    def test_later(self) -> None:
        """A push for later is kept over a restart and is sent at its time, once."""
        phone = self.known()
        push = self.push(when=self.wall(60))
        self.advance(30)
        self.assertEqual(phone.texts, [])
        self.kill()
        self.start(self.sections)
        phone = self.proven()
        self.advance(29)
        self.assertEqual(phone.texts, [])
        self.advance(2)
        self.assertEqual(phone.texts, ["news"])
        phone.pong()
        self.advance(3)
        self.assertEqual(self.outcome(push), "sent-unconfirmed")
        self.assertEqual(phone.texts, ["news"])

    def wall(self, later: float) -> str:
        """A moment as it is given in a request."""
        return datetime.fromtimestamp(self.now() + later, UTC).isoformat()

    def test_killed(self) -> None:
        """What was written to a phone before the relay was killed is not sent again."""
        phone = self.known()
        push = self.push()
        self.assertEqual(phone.texts, ["news"])
        self.kill()
        self.start(self.sections)
        phone = self.proven(answers=True)
        self.advance(400)
        self.assertEqual((phone.texts, self.outcome(push)), ([], "sent-unconfirmed"))

    def test_doubt(self) -> None:
        """What an earlier run has claimed, and nobody tells of, is not sent but said to be in doubt."""
        self.known()
        push = self.push(when=self.wall(60))
        self.kill()
        self.database.change("UPDATE relaytw_pushes SET state = 'handed', run = 'earlier'")
        self.start(self.sections)
        phone = self.proven(answers=True)
        self.assertEqual(self.outcome(push), "waiting")
        self.advance(400)
        self.assertEqual((phone.texts, self.outcome(push)), ([], "in-doubt"))

    def test_idempotent(self) -> None:
        """The same request under the same key is one push; another one under it is refused."""
        phone = self.known()
        caller = ADMIN._replace(key="order-1")
        first = self.push(caller)
        self.assertEqual(self.push(caller).id, first.id)
        self.assertEqual(self.push(idempotency_key="order-1").id, first.id)
        self.assertEqual(phone.texts, ["news"])
        self.assertRefused("key_used", self.desk.push(self.body(text="other"), caller))
        both = self.body(idempotency_key="order-2")
        self.assertRefused("bad_request", self.desk.push(both, caller))
        self.assertNotEqual(self.push(Caller("token:shop", None, "order-1")).id, first.id)
        self.database.change("UPDATE relaytw_pushes SET created_ms = created_ms - 86401000")
        self.assertNotEqual(self.push(caller).id, first.id)

    def test_targets(self) -> None:
        """A room has to be known, meant alone, and approved like its device."""
        self.known("room", "가족")
        self.known("room", device="phone-2")
        self.assertIn(
            "phone-2", str(self.assertRefused("ambiguous_room", self.desk.push(self.body(), ADMIN)))
        )
        self.push(device="phone-1")
        self.assertRefused("unknown_room", self.desk.push(self.body(room="none"), ADMIN))
        self.set_room(Status.DENIED, "가족")
        self.assertRefused("not_approved", self.desk.push(self.body(room="가족"), ADMIN))
        self.set_device(Status.BLOCKED, "phone-2")
        self.push()
        self.assertRefused("bad_request", self.desk.push(PushBody(text="x", room="room"), ADMIN))
        self.assertRefused("bad_request", self.desk.push(PushBody(room="room", bot=BOT), ADMIN))

    def body(self, **about: Any) -> PushBody:
        """A push to a room by its name."""
        return PushBody(**{"text": "news", "bot": BOT, "room": "room", **about})

    def test_withdrawn(self) -> None:
        """A room whose approval was taken back before the time had come is not told."""
        phone = self.known()
        push = self.push(when=self.wall(60))
        self.set_room(Status.REVOKED)
        self.advance(61)
        self.assertEqual((phone.texts, self.outcome(push)), ([], "failed"))

    def test_shared_name(self) -> None:
        """A text for a room that cannot be told from another by its name is refused, loudly."""
        self.known()
        for room in ("11", "22"):
            self.database.change(
                "INSERT INTO kb_rooms (room_id, bot_name, device_id, room_name, status) "
                "VALUES (?, ?, 'phone-1', 'family', 'approved')", room, BOT,
            )  # fmt: skip
        self.assertRefused("shared_name", self.desk.push(PushBody(text="x", room_id="11"), ADMIN))
        self.push(room_id="11", text=None, media=[MediaBody(base64=["eA=="])])

    def test_cancelled(self) -> None:
        """A push whose time has not come can be taken back, a sent one cannot."""
        phone = self.known()
        push = self.push(when=self.wall(60))
        done(self.desk.take_back(push.id, ADMIN))
        self.advance(61)
        self.assertEqual((phone.texts, self.outcome(push)), ([], "cancelled"))
        self.assertRefused("too_late", self.desk.take_back(self.push().id, ADMIN))

    def test_limited(self) -> None:
        """Who may reach some bots neither tells the others' rooms anything nor sees what they are told."""
        self.known()
        other, mine = Caller("token:x", frozenset({"other"})), Caller("token:y", frozenset({BOT}))
        self.assertRefused("unknown_room", self.desk.push(self.body(), other))
        push = self.push(mine)
        self.assertRefused("unknown_message", self.desk.find(push.id, other))
        self.assertEqual(done(self.desk.pushes(None, 10, other))[0], [])
        self.assertEqual([one.id for one in done(self.desk.pushes(None, 10, mine))[0]], [push.id])

    def test_database_away(self) -> None:
        """What cannot be kept is not promised; what was kept is sent when the database is back."""
        phone = self.known()
        push = self.push(when=self.wall(60))
        self.database.go_away()
        with self.assertRaises(Unavailable):
            self.push()
        self.advance(70)
        self.assertEqual(phone.texts, [])
        self.database.come_back()
        self.advance(5)
        self.assertEqual(phone.texts, ["news"])
        phone.pong()
        self.advance(3)
        self.assertEqual(self.outcome(push), "sent-unconfirmed")

    def test_chat_log(self) -> None:
        """What was said stands in the chat log, as something that nobody had asked for."""
        self.known()
        self.push()
        self.advance(5)
        self.assertEqual(
            self.database.rows("SELECT room_name, message FROM kb_chat_logs WHERE is_scheduled = 1"),
            [("room", "news")],
        )

    def test_audited(self) -> None:
        """Who has had something said is written down, under the name of his token."""
        self.known()
        push = self.push(Caller("token:shop"))
        self.assertEqual(
            self.database.rows("SELECT actor, bot_name, detail FROM relaytw_audit WHERE act = 'push'"),
            [("token:shop", BOT, push.id)],
        )


class BroadcastTests(PushTestCase):
    rooms_ = tuple(f"r{number}" for number in range(6))

    def cast(self, **about: Any) -> str:
        """Begin a broadcast; its name."""
        name: str = done(self.casts.start(BroadcastBody(**{"text": "all", "bot": BOT, **about}), ADMIN)).id
        return name

    def counts(self, name: str) -> dict[str, int]:
        """Its rooms, by what has become of them."""
        counts: dict[str, int] = done(self.casts.find(name, ADMIN)).outcomes
        return counts

    def test_spread(self) -> None:
        """Every room is told once, those of a phone at the pace, and a preview says how long that takes."""
        phone, other = self.known(*self.rooms_), self.known("one", device="phone-2")
        preview = done(self.casts.preview(BroadcastBody(text="all", bot=BOT), ADMIN))
        self.assertEqual((preview.count, preview.seconds), (7, 15.0))
        name = self.cast()
        self.assertEqual((len(phone.texts), len(other.texts)), (1, 1))
        self.advance(8.9)
        self.assertEqual(len(phone.texts), 3)
        self.advance(10)
        self.assertEqual((phone.texts, other.texts), (["all"] * 6, ["all"]))
        for one in (phone, other):
            one.pong()
        self.advance(3)
        self.assertEqual(self.counts(name), {"sent-unconfirmed": 7})
        self.assertEqual(done(self.casts.find(name, ADMIN)).state, "done")

    def test_pause(self) -> None:
        """A paused broadcast tells nobody, goes on where it was, and the rest can be cancelled."""
        phone = self.known(*self.rooms_, answers=True)
        name = self.cast()
        self.advance(3.1)
        done(self.casts.change("pause", name, ADMIN))
        self.advance(100)
        self.assertEqual(len(phone.texts), 2)
        self.assertRefused("wrong_state", self.casts.change("pause", name, ADMIN))
        done(self.casts.change("resume", name, ADMIN))
        self.advance(3.1)
        self.assertEqual(len(phone.texts), 3)
        done(self.casts.change("cancel", name, ADMIN))
        self.advance(100)
        phone.pong()
        self.advance(1)
        self.assertEqual(len(phone.texts), 3)
        self.assertEqual(self.counts(name), {"sent-unconfirmed": 3, "cancelled": 3})

    def test_killed(self) -> None:
        """After a crash nobody is told twice, and the rest keeps the pace."""
        phone = self.known(*self.rooms_, answers=True)
        name = self.cast()
        self.advance(4)
        self.assertEqual(len(phone.texts), 2)
        self.kill()
        self.clock.rightNow += 600
        self.start(self.sections)
        # It is told of one when it comes, which the test does not look at.
        phone = self.proven(answers=True)
        self.advance(2.9)
        self.assertEqual(phone.texts, [])
        self.advance(400)
        self.assertEqual(phone.texts, ["all"] * 3)
        phone.pong()
        self.advance(3)
        self.assertEqual(self.counts(name), {"sent-unconfirmed": 6})

    def test_chosen(self) -> None:
        """Rooms are chosen by a tag or by a list, of which is said who is left out."""
        self.known(*self.rooms_)
        tagged = done(self.desk.tag(RoomTags(BOT, "phone-1", "r3", ["vip", "x"]), ADMIN))
        self.assertEqual(tagged.tags, ["vip", "x"])
        preview = done(self.casts.preview(BroadcastBody(text="all", tag="vip"), ADMIN))
        self.assertEqual([room.room_id for room in preview.rooms], ["r3"])
        done(self.desk.tag(RoomTags(BOT, "phone-1", "r3", [], ["vip"]), ADMIN))
        self.assertRefused("no_rooms", self.casts.start(BroadcastBody(text="all", tag="vip"), ADMIN))
        listed = [RoomNamed(room=room, bot=BOT) for room in ("r1", "none", "r1")]
        preview = done(self.casts.preview(BroadcastBody(text="all", rooms=listed), ADMIN))
        self.assertEqual((preview.count, len(preview.left_out)), (1, 1))
        self.assertRefused("bad_request", self.casts.start(BroadcastBody(text="all"), ADMIN))

    def test_idempotent(self) -> None:
        """The same broadcast under the same key is one."""
        self.known(*self.rooms_)
        first = self.cast(idempotency_key="k")
        self.assertEqual(self.cast(idempotency_key="k"), first)
        done(self.casts.change("cancel", first, ADMIN))

    def test_limited(self) -> None:
        """Who may reach other bots alone neither starts nor sees it."""
        self.known(*self.rooms_)
        other = Caller("token:x", frozenset({"other"}))
        self.assertRefused("no_rooms", self.casts.start(BroadcastBody(text="all", bot=BOT), other))
        name = self.cast()
        self.assertRefused("unknown_broadcast", self.casts.change("cancel", name, other))
        self.assertEqual(done(self.casts.newest(other)), [])
        self.advance(20)

"""Who gets a connection slot when there are not enough, and who is sent to the penalty box."""

from __future__ import annotations

from relaytw.messages import CloseReason
from tests.unit.relay.harness import RelayTestCase
from tests.unit.relay.phones import Phone


class AdmissionTestCase(RelayTestCase):
    def full_house(self, count: int = 100) -> list[Phone]:
        """So many phones that are on."""
        return [self.proven(f"phone-{number}") for number in range(count)]

    def silent(self, count: int) -> list[Phone]:
        """So many sockets that say nothing."""
        return [self.connect() for _ in range(count)]

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self.stages.admission.slots.taken


class FullTests(AdmissionTestCase):
    def test_one_too_many(self) -> None:
        """The 101st phone is told as soon as it says who it is, and closed at once."""
        phones = self.full_house()
        late = self.connect("late").hello()
        self.assertClosed(late, CloseReason.SERVER_FULL, "server_full")
        self.assertEqual(late.greetings, [])
        self.assertOpen(*phones)

    def test_one_too_many_signed(self) -> None:
        """So is one whose signed chat stands for its handshake."""
        self.full_house()
        late = self.connect("late")
        late.say("# echo 1")
        self.assertClosed(late, CloseReason.SERVER_FULL, "server_full")

    def test_silent(self) -> None:
        """A socket that says nothing is told within a second."""
        self.full_house()
        late = self.connect("late")
        self.advance(0.99)
        self.assertOpen(late)
        self.advance(0.01)
        self.assertClosed(late, CloseReason.SERVER_FULL, "server_full")

    def test_refused_and_back(self) -> None:
        """As soon as somebody leaves there is room again."""
        phones = self.full_house()
        self.connect("late").hello()
        phones[50].hang_up()
        self.assertOpen(self.proven("late"))
        self.assertEqual(self.taken, 100)

    def test_freed_in_time(self) -> None:
        """A slot that becomes free within the second goes to whoever came first."""
        phones = self.full_house()
        late, later = self.connect("late"), self.connect("later")
        phones[0].vanish()
        self.assertEqual([phone.conversation.seat is not None for phone in (late, later)], [True, False])
        self.advance(2)
        late.hello()
        self.assertEqual(late.greetings, [(True, True)])
        self.assertClosed(later, CloseReason.SERVER_FULL, "server_full")

    def test_crowd(self) -> None:
        """More than twenty without a slot are too many: those who came first and say nothing go."""
        self.full_house()
        crowd = self.silent(30)
        self.advance(0)
        self.assertEqual([phone.closed for phone in crowd], [True] * 10 + [False] * 20)
        self.assertEqual(self.stages.admission.overflow, 20)


class SilentSocketTests(AdmissionTestCase):
    def test_displaced(self) -> None:
        """The oldest socket that has been silent for over a second makes room, at once."""
        silent = self.silent(100)
        self.advance(1.01)
        phone = self.proven()
        self.assertClosed(silent[0], CloseReason.DISPLACED)
        self.assertOpen(phone, *silent[1:])

    def test_displaced_in_a_moment(self) -> None:
        """A phone that finds only younger ones waits for the second to be over."""
        silent = self.silent(100)
        self.advance(0.5)
        phone = self.connect().hello()
        phone.say("# echo 1")
        self.assertEqual(phone.packets, [])
        self.advance(0.51)
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: 1"]))
        self.assertClosed(silent[0], CloseReason.DISPLACED)

    def test_at_the_same_moment(self) -> None:
        """Even if they all came at the very moment it did."""
        self.silent(100)
        phone = self.connect().hello()
        self.advance(1.01)
        self.assertEqual(phone.greetings, [(True, True)])

    def test_introduced_in_time(self) -> None:
        """Sockets that turn out to be phones keep their slots, and the newcomer is told so."""
        early = [self.connect(f"phone-{number}") for number in range(100)]
        self.advance(0.5)
        late = self.connect("late").hello()
        for phone in early:
            phone.hello()
        self.assertClosed(late, CloseReason.SERVER_FULL, "server_full")
        self.assertOpen(*early)

    def test_hundred_and_twenty(self) -> None:
        """However many sockets say nothing, and come back, a phone gets in within two seconds."""
        sockets = self.silent(120)
        for number in range(20):
            phone = self.connect(f"phone-{number}").hello()
            for _ in range(20):
                self.advance(0.1)
                back = [socket for socket in sockets if socket.closed]
                sockets = [s for s in sockets if not s.closed] + self.silent(len(back))
            self.assertEqual(phone.greetings, [(True, True)], f"phone {number} was kept out")
        self.assertEqual(len(self.stages.registry), 20)

    def test_few(self) -> None:
        """Nor can sockets that say nothing hand the last slots to each other."""
        self.full_house(98)
        self.silent(2)
        self.advance(0.5)
        self.silent(5)
        phone = self.connect("late").hello()
        self.advance(0.51)
        self.assertEqual(phone.greetings, [(True, True)])


class TwinTests(AdmissionTestCase):
    def test_inherits(self) -> None:
        """A phone whose dead twin still holds a slot gets in, proves itself and inherits it."""
        phones = self.full_house()
        back = self.connect("phone-7").hello()
        self.assertEqual(back.greetings, [(True, True)])
        self.advance(2)
        back.say("# echo here")
        self.assertClosed(phones[7], CloseReason.REPLACED)
        self.assertEqual((back.texts, self.taken, self.stages.admission.overflow), (["에코: here"], 100, 0))
        back.hang_up()
        self.assertEqual(self.taken, 99)

    def test_nobody_else_inherits(self) -> None:
        """Whoever waited for a slot before it does not get that one."""
        self.full_house()
        stranger = self.connect("phone-3", secret="other").hello()
        back = self.connect("phone-7").hello()
        back.pong()
        self.assertEqual([one.conversation.seat is None for one in (stranger, back)], [True, False])

    def test_inherits_nothing(self) -> None:
        """Somebody who only knows its name does not."""
        phones = self.full_house()
        stranger = self.connect("phone-7", secret="other").hello()
        stranger.pong()
        self.advance(30)
        self.assertClosed(stranger, CloseReason.UNPROVEN, "bad_signature", "no_auth")
        self.assertOpen(phones[7])

    def test_twin_goes_by_itself(self) -> None:
        """If the twin's end is heard of before the proof, its slot is still there for the phone."""
        phones = self.full_house()
        back = self.connect("phone-7").hello()
        phones[7].vanish()
        back.pong()
        self.assertEqual((self.taken, self.stages.admission.overflow), (100, 0))
        self.assertOpen(back)


class ReconnectTests(AdmissionTestCase):
    def test_storm(self) -> None:
        """Eighty phones that are lost and come back together, again and again, all find their place."""
        phones = self.full_house(80)
        for round_ in range(10):
            for phone in phones:
                phone.vanish()
            self.advance(4)
            phones = self.full_house(80)
            self.assertEqual((len(self.stages.registry), self.taken), (80, 80), f"round {round_}")
            for phone in phones:
                phone.say(f"# echo {round_}")
            self.assertEqual([phone.texts for phone in phones], [[f"에코: {round_}"]] * 80)

    def test_storm_of_twins(self) -> None:
        """So they do when nobody has told the relay that their old connections are dead."""
        old = self.full_house(80)
        new: list[Phone] = []
        for number in range(80):
            phone = self.connect(f"phone-{number}", answers=True).hello()
            new.append(phone)
            if number % 10 == 0:
                self.advance(1)
        self.advance(5)
        self.assertOpen(*new)
        self.assertEqual({row.reason for row in self.stages.closes.rows()}, {CloseReason.REPLACED})
        self.assertEqual((len(self.stages.closes.rows()), self.taken), (80, 80))
        for phone in old:
            phone.vanish()
        self.assertEqual((len(self.stages.registry), self.taken), (80, 80))

    def test_flapping_half_way(self) -> None:
        """Sockets that break at every point of a greeting leave nothing behind."""
        words = self.connect("phone-1")
        words.hello()
        words.pong()
        for round_ in range(30):
            phones = [self.connect(f"phone-{number % 40}") for number in range(110)]
            for number, phone in enumerate(phones):
                if number % 4:
                    phone.hello()
                if number % 4 == 2:
                    phone.pong()
                if number % 4 == 3:
                    phone.send(b'{"event":"analy')
            self.advance(0.3 * (round_ % 5))
            for phone in phones:
                phone.vanish() if round_ % 2 else phone.finish()
            self.advance(0)
        self.assertLessEqual(self.relay.sessions.connections, 1)


class PenaltyTests(AdmissionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.advance(61)

    def flap(self, times: int, host: str = "10.0.0.7") -> Phone:
        """Connect so often within a minute, and never prove anything; the last connection."""
        for _ in range(times):
            phone = self.connect(host=host).hello()
            self.advance(1)
            last = phone
            if not phone.closed:
                phone.hang_up()
        return last

    def in_box(self, phone: Phone) -> bool:
        """Was this phone refused for coming too often?"""
        boxed = phone.greetings == [(False, False)]
        if boxed:
            self.assertClosed(phone, CloseReason.PENALTY)
        return boxed

    def test_too_often(self) -> None:
        """The 31st connect in a minute is refused, with a reason, and so are all for five minutes."""
        self.assertFalse(self.in_box(self.flap(30)))
        self.assertTrue(self.in_box(self.flap(1)))
        self.advance(290)
        self.assertTrue(self.in_box(self.flap(1)))
        self.advance(10)
        self.assertFalse(self.in_box(self.flap(1)))

    def test_listed_and_lifted(self) -> None:
        """An operator sees who is in the box, and can let it out."""
        self.flap(31)
        (row,) = self.relay.operator.penalties()
        self.assertEqual((row.client, round(row.until - self.now())), (self.key(), 299))
        self.assertTrue(self.relay.operator.lift_penalty(self.key()))
        self.assertEqual(self.relay.operator.penalties(), [])
        self.assertFalse(self.in_box(self.flap(1)))
        self.assertFalse(self.relay.operator.lift_penalty(self.key()))

    def test_holds_no_slot(self) -> None:
        """One in the box holds nothing: it is gone at once."""
        self.flap(31)
        self.connect().hello()
        self.assertEqual((self.taken, self.relay.sessions.connections), (0, 0))

    def test_longer_each_time(self) -> None:
        """Whoever goes on comes in for twice as long."""
        self.flap(31)
        self.advance(300)
        self.flap(31)
        (row,) = self.relay.operator.penalties()
        self.assertEqual(round(row.until - self.now()), 599)

    def test_by_host_too(self) -> None:
        """A stranger who uses a phone's name cannot put the phone itself into the box."""
        self.flap(31, host="10.6.6.6")
        self.assertFalse(self.in_box(self.flap(1, host="10.0.0.7")))

    def test_proven(self) -> None:
        """Phones that prove themselves may come as often as they like."""
        for _ in range(100):
            self.proven().vanish()
            self.advance(0.2)
        self.assertEqual(self.relay.operator.penalties(), [])

    def test_after_a_start(self) -> None:
        """Nothing is counted in the first minute of a relay."""
        self.start({})
        self.assertFalse(self.in_box(self.flap(55)))

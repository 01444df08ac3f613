"""Who may enter: identity, signatures, and what a signature is still worth when it comes again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relaytw.errors import Refused
from relaytw.messages import ClientKey, ErrorCode
from relaytw.seen import Pass
from tests.unit.doors import Door, DoorCase


class SignatureTests(DoorCase):
    def test_valid(self) -> None:
        """A fresh signature with the secret lets a packet in, and proves who is talking."""
        door = Door()
        self.assertIs(door.check(door.connect(), door.auth()), True)

    def test_another_secret(self) -> None:
        """A signature with another secret is refused, and nothing of it is remembered."""
        door = Door()
        text = self.assert_refused(
            ErrorCode.BAD_SIGNATURE, door, door.connect(), door.auth(secret=b"guessed")
        )
        self.assertIn("secret does not match", text)
        self.assertEqual((door.gate.remembered, door.gate.clients), (0, 0))

    def test_unknown_bot(self) -> None:
        """Where bots are listed, a signature that fails for another one is told apart from a wrong secret."""
        door = Door(listed=("bot",))
        stranger = ClientKey("typo", "phone")
        text = self.assert_refused(
            ErrorCode.UNKNOWN_BOT,
            door,
            door.connect(stranger),
            door.auth(client=stranger, secret=b"guessed"),
        )
        self.assertIn("bot typo has no secret of its own here", text)
        self.assert_refused(ErrorCode.BAD_SIGNATURE, door, door.connect(), door.auth(secret=b"guessed"))
        self.assertTrue(door.check(door.connect(stranger), door.auth(client=stranger)))

    def test_nothing_leaks(self) -> None:
        """No refusal tells what would have been right: neither secret, salt, signature nor deviceUUID."""
        door = Door(listed=("another",), approve_new=True)
        pass_, good = door.connect(), door.auth(uuid="pinned-uuid")
        door.check(pass_, good)
        lies = {
            ErrorCode.UNKNOWN_BOT: good._replace(ip="other"),
            ErrorCode.STALE: door.auth(400_000),
            ErrorCode.WRONG_IDENTITY: door.auth(1, uuid="other"),
            ErrorCode.REPLAY: good,
        }
        for code, auth in lies.items():
            passes = door.connect() if code is ErrorCode.REPLAY else pass_
            text = self.assert_refused(code, door, passes, auth, resendable=False)
            for hidden in ("secret'", "salt of", good.signature[:8], "pinned-uuid"):
                self.assertNotIn(hidden, text)

    def test_how_far_off(self) -> None:
        """A refusal of the clock says how far it is off, in seconds and in which direction."""
        door = Door()
        for offset, said in ((400_400, "+400 s"), (-3_600_000, "-3600 s")):
            text = self.assert_refused(ErrorCode.STALE, door, door.connect(), door.auth(offset))
            self.assertIn(f"the phone's clock is {said} off (allowed: 300 s)", text)

    def test_changed_field(self) -> None:
        """No signed field can be changed, neither on a first packet nor after a valid one."""
        door = Door()
        pass_, auth = door.connect(), door.auth()
        changes = (
            auth._replace(client_type="other"),
            auth._replace(device_uuid="other"),
            auth._replace(mac="other"),
            auth._replace(ip="other"),
            auth._replace(timestamp=auth.timestamp + 1),
            auth._replace(signature=auth.signature[:-1] + ("0" if auth.signature[-1] != "0" else "1")),
            auth._replace(signature=""),
        )
        for changed in changes:
            self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, changed)
        door.check(pass_, auth)
        for changed in changes:
            self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, changed)

    def test_rotation(self) -> None:
        """While secrets are rotated, phones with the new and phones with the old one are let in."""
        door = Door(secrets=(b"new", b"old"))
        pass_ = door.connect()
        self.assertTrue(door.check(pass_, door.auth(0, secret=b"new")))
        self.assertTrue(door.check(pass_, door.auth(1, secret=b"old")))
        self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, door.auth(2, secret=b"older"))

    def test_no_auth(self) -> None:
        """A packet without `auth` is not let in."""
        door = Door()
        self.assert_refused(ErrorCode.NO_AUTH, door, door.connect(), None)

    def test_not_required(self) -> None:
        """Where signatures are not required any packet is proof, but none under another name."""
        door = Door(required=False)
        pass_ = door.connect()
        self.assertTrue(door.check(pass_, None))
        self.assertTrue(door.check(pass_, door.auth(-999_999, secret=b"guessed")))
        self.assert_refused(
            ErrorCode.WRONG_IDENTITY, door, pass_, door.auth(client=ClientKey("bot", "other"))
        )

    def test_another_identity(self) -> None:
        """A packet must name the bot and the device of its handshake, however well it is signed."""
        door = Door()
        pass_ = door.connect()
        for client in (ClientKey("bot", "other"), ClientKey("other", "phone"), ClientKey("bot", "Phone")):
            text = self.assert_refused(ErrorCode.WRONG_IDENTITY, door, pass_, door.auth(client=client))
            self.assertIn(str(client), text)

    def test_clock_of_the_phone(self) -> None:
        """A timestamp may be five minutes off in either direction, and not a millisecond more."""
        door = Door()
        pass_ = door.connect()
        for offset in (-300_000, 300_000):
            self.assertTrue(door.check(pass_, door.auth(offset)))
        for offset in (-300_001, 300_001, -(10**15), 10**15):
            self.assert_refused(ErrorCode.STALE, door, pass_, door.auth(offset))

    def test_signature_grows_old(self) -> None:
        """A signature shown before is refused as soon as it is too old, by its own connection too."""
        door = Door()
        pass_, auth = door.connect(), door.auth()
        door.check(pass_, auth)
        door.clock.advance(300.5)
        self.assert_refused(ErrorCode.STALE, door, pass_, auth)


class RepetitionTests(DoorCase):
    def test_one_signature_for_several_packets(self) -> None:
        """The connection that first showed a signature may show it again: scripts sign in a burst."""
        door = Door()
        pass_, first, second = door.connect(), door.auth(), door.auth(1)
        shown = [door.check(pass_, auth, resendable=False) for auth in (first, first, second, first, second)]
        self.assertEqual(shown, [True] * 5)
        self.assertEqual(door.gate.remembered, 2)

    def test_sent_again_over_the_next_connection(self) -> None:
        """What a dead socket swallowed comes again over the next one: let in, but it proves nothing."""
        door = Door()
        auth = door.auth()
        door.check(door.connect(), auth)
        door.clock.advance(60)
        second = door.connect()
        self.assertIs(door.check(second, auth), False)
        self.assertIs(door.check(second, auth), False)
        self.assertIs(door.check(second, door.auth()), True)
        self.assertIs(door.check(second, auth), False)

    def test_not_resendable(self) -> None:
        """A pong is never sent again: with a signature of the last connection it is a replay."""
        door = Door()
        auth = door.auth()
        door.check(door.connect(), auth)
        self.assert_refused(ErrorCode.REPLAY, door, door.connect(), auth, resendable=False)

    def test_too_late(self) -> None:
        """After the window for reconnecting the same is a replay."""
        door = Door()
        auth = door.auth()
        door.check(door.connect(), auth)
        door.clock.advance(60.1)
        self.assert_refused(ErrorCode.REPLAY, door, door.connect(), auth)

    def test_only_the_next_connection(self) -> None:
        """On the connection after the next it is a replay as well."""
        door = Door()
        auth = door.auth(0)
        door.check(door.connect(), auth)
        door.check(door.connect(), door.auth(1))
        self.assert_refused(ErrorCode.REPLAY, door, door.connect(), auth)

    def test_silent_connections_do_not_count(self) -> None:
        """A connection that showed no signature is not the last one: it may have been anybody's."""
        door = Door()
        auth = door.auth()
        door.check(door.connect(), auth)
        for _ in range(3):
            stranger = door.connect()
            self.assert_refused(ErrorCode.BAD_SIGNATURE, door, stranger, door.auth(1, secret=b"guessed"))
        self.assertIs(door.check(door.connect(), auth), False)

    def test_the_replaced_connection_may_not_use_its_successors(self) -> None:
        """A signature of the newer connection is a replay on the older one."""
        door = Door()
        older, newer, auth = door.connect(), door.connect(), door.auth()
        door.check(newer, auth)
        self.assert_refused(ErrorCode.REPLAY, door, older, auth)

    def test_eviction(self) -> None:
        """What had to be forgotten early is not acceptable again, nor is anything as old."""
        door = Door(per_client=3)
        pass_ = door.connect()
        older, *auths = [door.auth(number) for number in range(-1, 5)]
        for auth in auths:
            door.check(pass_, auth)
            door.clock.advance(1)
        self.assertEqual(door.gate.remembered, 3)
        second = door.connect()
        for auth in (older, *auths[:2]):
            self.assert_refused(ErrorCode.STALE, door, second, auth)
        self.assertIs(door.check(second, auths[2]), False)
        self.assertIs(door.check(second, door.auth(6)), True)

    def test_room_made_by_time(self) -> None:
        """What is too old to come again makes room for more, and nothing else is refused for it."""
        door = Door(per_client=2)
        pass_ = door.connect()
        for number in range(2):
            door.check(pass_, door.auth(300_000 + number - 1))
        door.clock.advance(600.5)
        door.check(pass_, door.auth())
        self.assertEqual(door.gate.remembered, 1)
        self.assertTrue(door.check(pass_, door.auth(-300_000)))

    def test_bounded_in_total(self) -> None:
        """The bound in all holds whichever client shows more, and spares the others' signatures."""
        door = Door(total=4)
        quiet, busy = ClientKey("bot", "quiet"), ClientKey("bot", "busy")
        kept = door.auth(client=quiet)
        door.check(door.connect(quiet), kept)
        pass_ = door.connect(busy)
        for number in range(20):
            door.check(pass_, door.auth(number, busy))
        self.assertEqual(door.gate.remembered, 4)
        self.assert_refused(ErrorCode.REPLAY, door, door.connect(quiet), kept, resendable=False)

    def test_total_spares_newcomers(self) -> None:
        """A client that comes when all is full is still known by the one signature it has shown."""
        door = Door(total=1)
        for name in ("one", "two", "three"):
            client = ClientKey("bot", name)
            auth = door.auth(client=client)
            door.check(door.connect(client), auth)
            self.assert_refused(ErrorCode.REPLAY, door, door.connect(client), auth, resendable=False)

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("show"), st.integers(-3, 6)),
                st.tuples(st.just("connect"), st.just(0)),
                st.tuples(st.just("wait"), st.sampled_from([0, 1, 61, 299, 601])),
                st.tuples(st.just("sweep"), st.just(0)),
            ),
            max_size=40,
        ),
        st.integers(1, 4),
    )
    def test_proof_of_one_connection_only(self, steps: list[tuple[str, int]], per_client: int) -> None:
        """Whatever is shown, waited, swept or evicted: no signature proves two connections."""
        door = Door(per_client=per_client)
        pass_ = door.connect()
        proved: dict[str, Pass] = {}
        auths = [door.auth(number * 100_000) for number in range(-3, 7)]
        for step, number in steps:
            if step == "connect":
                pass_ = door.connect()
            elif step == "wait":
                door.clock.advance(number)
            elif step == "sweep":
                door.gate.sweep()
            else:
                auth = auths[number + 3]
                try:
                    proof = door.check(pass_, auth)
                except Refused:
                    continue
                if proof:
                    self.assertIs(proved.setdefault(auth.signature, pass_), pass_)
            self.assertLessEqual(door.gate.remembered, per_client)

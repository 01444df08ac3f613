"""Who signs with which secret: what is remembered, shared, shifted and forgotten."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, ErrorCode
from relaytw.signers import NO_SECRET, Signers
from tests.unit.doors import PHONE, Door, DoorCase

OTHER = ClientKey("bot", "other")
ELSEWHERE = ClientKey("another bot", "phone")


class SignersTests(SynchronousTestCase):
    def indexes(self, signers: Signers) -> dict[ClientKey, int]:
        """The secret of each client."""
        return {client: use.secret for client, use in signers}

    def test_last(self) -> None:
        """What counts of a client is the secret it signed with last; its connections share that."""
        signers = Signers(10)
        use = signers.signed(PHONE, 1)
        self.assertIs(signers.signed(PHONE, 0), use)
        self.assertEqual(self.indexes(signers), {PHONE: 0})

    def test_rotated(self) -> None:
        """A new secret makes the one that clients sign with older, for those it concerns."""
        signers = Signers(10)
        use = signers.signed(PHONE, 0)
        signers.signed(ELSEWHERE, 0)
        signers.rotated(lambda client: client.bot == "bot")
        self.assertEqual(self.indexes(signers), {PHONE: 1, ELSEWHERE: 0})
        self.assertEqual(use.secret, 1)

    def test_retired(self) -> None:
        """When old secrets end, their clients are forgotten and noted anew when they come back."""
        signers = Signers(10)
        old = signers.signed(PHONE, 1)
        signers.signed(OTHER, 0)
        signers.signed(ELSEWHERE, 1)
        signers.retired(lambda client: client.bot == "bot")
        self.assertEqual(self.indexes(signers), {OTHER: 0, ELSEWHERE: 1})
        self.assertEqual(old.secret, NO_SECRET)

    def test_bounded(self) -> None:
        """One client too many makes the one longest unchanged be forgotten, and that is counted."""
        signers = Signers(2)
        first = signers.signed(PHONE, 1)
        for client in (OTHER, ELSEWHERE):
            signers.signed(client, 0)
        self.assertEqual((list(self.indexes(signers)), signers.forgotten), ([OTHER, ELSEWHERE], 1))
        self.assertEqual(first.secret, NO_SECRET)
        signers.retired(lambda _: True)
        self.assertEqual((len(signers), signers.forgotten), (2, 0))


class NoteTests(DoorCase):
    def uses(self, door: Door) -> dict[ClientKey, tuple[int, float]]:
        """The secret of each client, and when it was seen, from the start."""
        start = door.clock.seconds()
        return {client: (use.secret, use.at - start) for client, use in door.keys}

    def test_noted(self) -> None:
        """The gate notes which secret has signed a packet, and when."""
        door = Door(secrets=(b"new", b"old"))
        pass_ = door.connect()
        door.check(pass_, door.auth(secret=b"old"))
        self.assertEqual(self.uses(door), {PHONE: (1, 0)})
        door.clock.advance(5)
        door.check(pass_, door.auth(secret=b"old"))
        self.assertEqual(self.uses(door), {PHONE: (1, 0)})
        door.check(pass_, door.auth(1, secret=b"new"))
        self.assertEqual(self.uses(door), {PHONE: (0, 0)})

    def test_only_what_enters(self) -> None:
        """What is refused, or proves nothing, is no use of a secret."""
        door = Door(secrets=(b"new", b"old"))
        pass_, old = door.connect(), door.auth(secret=b"old")
        self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, door.auth(secret=b"guessed"))
        self.assert_refused(ErrorCode.STALE, door, pass_, door.auth(400_000, secret=b"old"))
        self.assertEqual(self.uses(door), {})
        door.check(pass_, old)
        door.check(pass_, door.auth(1, secret=b"new"))
        for resendable in (True, False):
            thief = door.connect()
            if resendable:
                self.assertIs(door.check(thief, old), False)
            else:
                self.assert_refused(ErrorCode.REPLAY, door, thief, old, resendable=False)
            self.assertEqual(self.uses(door)[PHONE][0], 0)

    def test_noted_again(self) -> None:
        """A client that had to be forgotten is noted anew by its next signature, on the same connection."""
        door = Door(secrets=(b"new", b"old"), signers=1)
        pass_ = door.connect()
        door.check(pass_, door.auth(secret=b"old"))
        door.check(door.connect(OTHER), door.auth(client=OTHER, secret=b"new"))
        self.assertEqual(list(self.uses(door)), [OTHER])
        door.check(pass_, door.auth(1, secret=b"old"))
        self.assertEqual(self.uses(door), {PHONE: (1, 0)})

    def test_one_signature_for_several(self) -> None:
        """Packets that share a signature are looked at once, until secrets change."""
        door = Door()
        pass_, auth = door.connect(), door.auth()
        door.check(pass_, auth)
        pass_.verifier.replace([b"another"])
        self.assertTrue(door.check(pass_, auth))
        door.gate.secrets_changed()
        self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, auth)

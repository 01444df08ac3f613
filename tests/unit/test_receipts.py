"""What a phone that acknowledges is given is kept until it does."""

from __future__ import annotations

from relaytw.messages import ClientKey, Dialect, Media, Outcome, Text
from tests.unit.receipts import PHONE, Line, ReceiptCase


class ReceiptTests(ReceiptCase):
    def test_kept_until_acknowledged(self) -> None:
        """What was written is kept, by the ledger too, until the phone has typed it; then it is confirmed."""
        self.attach()
        self.send("a/0")
        self.assertEqual((self.line.said, len(self.book.kept), self.ended), (["a/0"], 1, []))
        self.outbox.alive(PHONE, self.line)
        self.assertEqual(self.outbox.unacknowledged, 1)
        self.acknowledge("a/0")
        self.assertEqual((self.outbox.unacknowledged, self.book.kept), (0, {}))
        self.assertEqual(self.ended, [("a/0", Outcome.CONFIRMED, "")])
        self.assertEqual(self.metrics.sent_unconfirmed, 0)

    def test_again_in_order(self) -> None:
        """On a new line it is written again in the order of the writing, before anything that waited."""
        self.attach()
        self.send("a/0", "a/1", room="one")
        self.send("b/0", room="two")
        self.clock.advance(1)
        self.detach()
        self.send("c/0", room="two")
        self.assertEqual(self.attach().said, ["a/0", "b/0", "a/1", "c/0"])

    def test_polite_goodbye(self) -> None:
        """However the line ended: only the phone's word counts."""
        self.attach()
        self.send("a/0")
        self.outbox.detach(PHONE, self.line, dead=False)
        self.assertEqual(self.attach().said, ["a/0"])

    def test_resume(self) -> None:
        """What the phone had come to, and what was written before it, is confirmed and not written again."""
        self.attach()
        for name in "abc":
            self.send(name)
        self.detach()
        self.assertEqual(self.attach("b").said, ["c"])
        self.assertEqual([name for name, _, _ in self.ended], ["a", "b"])

    def test_resume_from_nothing_known(self) -> None:
        """An id that nobody knows settles nothing."""
        self.attach()
        self.send("a")
        self.detach()
        self.assertEqual(self.attach("z").said, ["a"])

    def test_any_order(self) -> None:
        """Acknowledgements may come in any order, again, and of what was never written."""
        self.attach()
        for name in "abc":
            self.send(name)
        self.acknowledge("c", "z", "a")
        self.acknowledge("a")
        self.assertEqual(
            [name for name, _, _ in self.ended], ["a", "c"] if self.ended[0][0] == "a" else ["c", "a"]
        )
        self.detach()
        self.assertEqual(self.attach().said, ["b"])

    def test_of_another_line(self) -> None:
        """A line that is not the phone's any more acknowledges nothing."""
        old = self.attach()
        self.send("a")
        self.attach()
        self.outbox.acknowledged(PHONE, old, ["a"])
        self.outbox.could_not(PHONE, old, "a", "no_room", "")
        self.assertEqual((self.outbox.unacknowledged, self.ended), (1, []))

    def test_could_not(self) -> None:
        """What the phone cannot type has failed, with its reason; a reason nobody knows is its own affair."""
        self.attach()
        for name in "ab":
            self.send(name)
        self.outbox.could_not(PHONE, self.line, "a", "no_room", "never heard of it")
        self.outbox.could_not(PHONE, self.line, "b", "x" * 1000, "")
        self.assertEqual(
            self.ended,
            [("a", Outcome.FAILED, "no_room: never heard of it"), ("b", Outcome.FAILED, "internal")],
        )
        self.assertEqual(self.dropped, [("a", "no_room"), ("b", "internal")])
        self.assertEqual((self.outbox.unacknowledged, self.book.kept), (0, {}))

    def test_expired(self) -> None:
        """Away too long: what had been written is unconfirmed, what had not has expired."""
        self.attach()
        self.send("written")
        self.detach()
        self.send("waiting")
        self.clock.advance(300)
        self.assertEqual(
            self.ended,
            [("waiting", Outcome.EXPIRED, "expired"), ("written", Outcome.SENT, "unconfirmed")],
        )
        self.assertEqual((self.outbox.boxes, self.book.kept, self.clock.getDelayedCalls()), (0, {}, []))
        self.assertEqual(self.metrics.sent_unconfirmed, 1)

    def test_here_and_silent(self) -> None:
        """A phone that is here and acknowledges nothing for so long is not waited for either."""
        self.attach()
        self.send("a")
        self.clock.advance(299)
        self.send("b")
        self.assertEqual(self.ended, [])
        self.acknowledge("a")
        self.clock.advance(299)
        self.assertEqual(len(self.ended), 1)
        self.clock.advance(1)
        self.assertEqual(self.ended[1:], [("b", Outcome.SENT, "unconfirmed")])
        self.assertEqual(self.outbox.unacknowledged, 0)

    def test_bounds(self) -> None:
        """What was written and what waits share the bounds; beyond them the newest has no room."""
        for keys, part in (({"per_client": 3}, Text("x")), ({"bytes": 30}, Text("0123456789"))):
            self.ended, self.outbox = [], self.make(**keys)
            self.attach()
            for name in "abcd":
                self.send(name, part=part)
            self.assertEqual(self.ended, [("d", Outcome.EXPIRED, "outbox_full")])
            self.acknowledge("a")
            self.send("e", part=part)
            self.assertEqual(self.line.said, ["a", "b", "c", "e"])

    def test_large_medium(self) -> None:
        """One larger than the bound is given to a phone that owes nothing."""
        self.outbox = self.make(bytes=10)
        self.attach()
        self.send("m", part=Media((b"x" * 100,)))
        self.assertEqual(self.line.said, ["m"])

    def test_media_again(self) -> None:
        """Media that are written again keep their distance, and nothing overtakes them."""
        self.attach()
        self.send("m1", room="one", part=Media(("u",), wait_ms=4000))
        self.send("m2", room="two", part=Media(("u",), wait_ms=4000))
        self.clock.advance(4)
        self.send("t", room="three")
        self.detach()
        line = self.attach()
        self.send("n", room="four")
        self.assertEqual(line.said, ["m1"])
        self.clock.advance(4)
        self.assertEqual(line.said, ["m1", "m2", "t", "n"])

    def test_deaf(self) -> None:
        """A phone that stops reading while it is given everything again gets the rest later, in order."""
        outbox = self.outbox
        self.attach()
        for name in "abc":
            self.send(name)
        self.detach()

        class Narrow(Line):
            def say(self, data: bytes) -> None:
                super().say(data)
                outbox.writable(PHONE, self, writable=False)

        narrow = self.line = Narrow()
        outbox.attach(PHONE, narrow, Dialect.V33, acknowledges=True)
        self.send("d")
        for number in range(1, 5):
            self.assertEqual(narrow.said, list("abcd")[:number])
            outbox.writable(PHONE, narrow, writable=True)

    def test_unencodable_now(self) -> None:
        """What cannot be written has failed, and holds nothing up."""
        self.attach()
        self.send("bad", part=Text("unencodable"))
        self.send("good")
        self.assertEqual(self.ended, [("bad", Outcome.FAILED, "unencodable")])
        self.assertEqual(self.line.said, ["good"])

    def test_older_dialect(self) -> None:
        """To a script that acknowledges nothing any more it is not written again: it might say it twice."""
        self.attach()
        self.send("a")
        self.detach()
        self.send("b")
        line = Line()
        self.outbox.attach(PHONE, line, Dialect.V33)
        self.assertEqual((line.said, self.ended), (["b"], [("a", Outcome.SENT, "unconfirmed")]))

    def test_newer_dialect(self) -> None:
        """What an older script may not have heard is given to the new one, and does not end again."""
        self.line = Line()
        self.outbox.attach(PHONE, self.line, Dialect.V33)
        self.send("~push/0")
        self.detach()
        self.assertEqual(self.attach().said, ["~push/0"])
        self.acknowledge("~push/0")
        self.assertEqual(self.ended, [("~push/0", Outcome.SENT, "")])
        self.assertEqual((self.metrics.sent_unconfirmed, self.metrics.outcomes), (1, {}))

    def test_withdrawn(self) -> None:
        """An approval that is taken back ends what was written too; nobody can say whether it has arrived."""
        self.attach()
        self.send("a", room="one")
        self.send("b", room="two")
        self.outbox.discard(PHONE, "one")
        self.assertEqual(self.ended, [("a", Outcome.SENT, "not_approved")])
        self.outbox.discard(PHONE, None)
        self.assertEqual((self.outbox.unacknowledged, self.book.kept), (0, {}))

    def test_holds(self) -> None:
        """What waits, for the phone or for its word, is known by its id."""
        self.attach()
        self.send("a/0", "a/1")
        self.assertEqual([self.outbox.holds(PHONE, f"a/{n}") for n in range(3)], [True, True, False])
        self.assertFalse(self.outbox.holds(ClientKey("other", "phone"), "a/0"))


class OldOutcomeTests(ReceiptCase):
    def test_written_once(self) -> None:
        """To other phones a reply has ended when it is first written; writing it again ends nothing."""
        self.outbox.attach(PHONE, self.line, Dialect.V33)
        self.send("a")
        self.send("~b")
        self.assertEqual((self.ended, self.metrics.sent_unconfirmed), ([("~b", Outcome.SENT, "")], 2))
        self.detach()
        self.clock.advance(300)
        self.assertEqual(self.dropped, [("a", "expired"), ("~b", "expired")])
        self.assertEqual((len(self.ended), self.metrics.sent_unconfirmed), (1, 2))

    def test_killed_in_between(self) -> None:
        """Not even if a kill is in between."""
        self.outbox.attach(PHONE, self.line, Dialect.V33)
        self.send("~b")
        self.detach()
        self.kill()
        line = Line()
        self.outbox.attach(PHONE, line, Dialect.V33)
        self.assertEqual((line.said, len(self.ended)), (["~b"], 1))

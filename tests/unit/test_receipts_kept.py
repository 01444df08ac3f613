"""Nothing that was written is lost or typed twice, whatever breaks in between."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relaytw.messages import Media, Outcome, Reply, Text
from tests.unit.receipts import PHONE, ReceiptCase


class KillTests(ReceiptCase):
    def test_written(self) -> None:
        """What was written and not acknowledged comes again in its order after a kill, before what waited."""
        self.attach()
        self.send("a/0", "a/1", room="one")
        self.send("b/0", room="two")
        self.clock.advance(1)
        self.send("c/0", "c/1", room="two")
        self.kill()
        self.assertEqual(self.attach("a/0").said[:3], ["b/0", "a/1", "c/0"])
        self.acknowledge("b/0", "a/1", "c/0")
        self.assertEqual([entry.reply.id for entry in self.book.entries(0)], ["c/1"])

    def test_resume_with_what_is_not_known_as_written(self) -> None:
        """If the kill came before the writing was noted, the phone's word settles this reply alone.

        Whether others were written before it nobody knows: they are written again, and the phone knows them.
        """
        self.attach()
        self.send("a")
        reply = Reply(PHONE, "room", None, Text("x"), "", id="b")
        self.book.waits(reply, 0.0, spaced=False)
        self.kill()
        self.assertEqual(self.attach("b").said, ["a"])
        self.assertEqual([name for name, _, _ in self.ended], ["b"])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("abc"), st.integers(1, 3)),
        st.tuples(st.just("medium"), st.sampled_from("abc"), st.just(1)),
        st.tuples(st.just("media"), st.sampled_from("abc"), st.just(2)),
        st.tuples(st.sampled_from(("type", "type and lose")), st.just(""), st.integers(1, 4)),
        st.tuples(st.sampled_from(("cut", "connect", "kill")), st.just(""), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 5)),
    ),
    max_size=40,
)


class BookkeepingTests(ReceiptCase):
    @staticmethod
    def name(sent: dict[str, list[str]], room: str) -> str:
        """The next reply of a room."""
        names = sent.setdefault(room, [])
        names.append(f"{room}{len(names)}")
        return names[-1]

    @given(STEPS)
    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors], max_examples=200)
    def test_once(self, steps: list[tuple[str, str, int]]) -> None:
        """Whatever breaks in between, every reply is typed once, a room's in order, and ends once."""
        ReceiptCase.setUp(self)
        phone = _Phone(self)
        phone.do("connect", 0)
        sent: dict[str, list[str]] = {}
        for step, room, count in steps:
            if step == "media":
                # Both are written, and must be written again, one long after the other.
                for _ in range(count):
                    self.send(self.name(sent, room), room=room, part=Media(("u",), wait_ms=3000))
                    self.clock.advance(3)
            elif step in ("send", "medium"):
                names = [self.name(sent, room) for _ in range(count)]
                self.send(
                    *names, room=room, part=Text("x") if step == "send" else Media(("u",), wait_ms=3000)
                )
            else:
                phone.do(step, count)
        phone.do("connect", 0)
        for _ in range(200):
            phone.do("type", 100)
            self.clock.advance(3)
        typed = {room: [name for name in phone.typed if name[0] == room] for room in sent}
        self.assertEqual(typed, sent)
        self.assertEqual(sorted(name for name, _, _ in self.ended), sorted(phone.typed))
        self.assertEqual({outcome for _, outcome, _ in self.ended} - {Outcome.CONFIRMED}, set())
        self.assertEqual((self.book.kept, self.outbox.waiting, self.outbox.unacknowledged), ({}, 0, 0))


class _Phone:
    """A phone that types in the order of its line, once, and remembers what it has acknowledged last."""

    def __init__(self, case: ReceiptCase) -> None:
        self.case = case
        self.typed: list[str] = []
        self.last: str | None = None
        self.read = 0
        self.on = False

    def do(self, step: str, count: int) -> None:
        """One step."""
        case = self.case
        if step == "wait":
            case.clock.advance(count)
        elif step == "kill":
            case.kill()
            self.on = False
        elif step == "cut" and self.on:
            case.detach()
            self.on = False
        elif step == "connect":
            case.attach(self.last)
            self.read, self.on = 0, True
        elif step.startswith("type") and self.on:
            self.type(count, lost=step != "type")

    def type(self, count: int, *, lost: bool) -> None:
        """Type so many replies and acknowledge each; if that is `lost` the line is gone too."""
        case = self.case
        for name in case.line.said[self.read : self.read + count]:
            self.read += 1
            if name not in self.typed:
                self.typed.append(name)
            self.last = name
            if not lost:
                case.acknowledge(name)
        if lost:
            case.detach()
            self.on = False

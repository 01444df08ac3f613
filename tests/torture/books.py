"""What every phone said and heard over all runs of one relay, and what the journal holds of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from relaytw.store.inspection import unfinished

#: Messages sent so many seconds before a kill are outside the promise of dialect 3.x.
GRACE = 0.050


@dataclass
class Sent:
    """One message: its room, when it was last sent, and whether the relay shows that it has accepted it."""

    room: str
    at: float


@dataclass
class Answer:
    """One answer as a phone got it, in which life of the relay."""

    number: int
    life: int
    again: bool


@dataclass
class Verdict:
    """The outcome of one run; all but `outside`, `repeated` and the counts must be empty."""

    sent: int = 0
    answered: int = 0
    journalled: int = 0
    outside: int = 0
    repeated: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Was everything kept that was promised?"""
        return not (self.lost or self.twice or self.disorder)


class Books:
    """The books of one relay that is killed again and again."""

    def __init__(self) -> None:
        self.sent: dict[int, Sent] = {}
        self.answers: list[Answer] = []
        self.kills: list[float] = []

    def say(self, number: int, room: str, at: float) -> None:
        """A phone has sent this."""
        self.sent[number] = Sent(room, at)

    def hear(self, text: str) -> None:
        """A phone was given this to type."""
        word, number, again = text.split()
        if word != "answer":
            raise ValueError(text)
        self.answers.append(Answer(int(number), len(self.kills), again == "again"))

    def check(self, folder: Path) -> Verdict:
        """Compare; the relay has been killed, or stopped, for good."""
        verdict = Verdict(sent=len(self.sent))
        journalled = {int(name.rpartition(":")[2]) for name in unfinished(folder)}
        heard = Counter(answer.number for answer in self.answers)
        for number, sent in self.sent.items():
            if heard[number]:
                verdict.answered += 1
                verdict.journalled += number in journalled
            elif number in journalled:
                verdict.journalled += 1
            elif any(0 <= kill - sent.at < GRACE for kill in self.kills):
                verdict.outside += 1
            else:
                verdict.lost.append(f"message {number}, sent {self._before(sent.at)}")
        self._check_repeats(verdict)
        self._check_order(verdict)
        return verdict

    def _check_repeats(self, verdict: Verdict) -> None:
        lives = defaultdict(list)
        for answer in self.answers:
            lives[answer.number].append(answer)
        for number, answers in lives.items():
            # On the wire when the relay died: the handler ran again, and in another life.
            again = [a for a in answers[1:] if a.again and a.life > answers[0].life]
            if len(again) == len(answers) - 1:
                verdict.repeated += len(again)
            else:
                verdict.twice.append(f"message {number}: {answers}")

    def _check_order(self, verdict: Verdict) -> None:
        # Of each message the first answer counts: those of one room come in the order of the messages.
        last: dict[str, int] = {}
        seen: set[int] = set()
        for answer in self.answers:
            if answer.number in seen or answer.number not in self.sent:
                continue
            seen.add(answer.number)
            room = self.sent[answer.number].room
            if last.get(room, -1) > answer.number:
                verdict.disorder.append(f"{room}: {last[room]} before {answer.number}")
            last[room] = max(last.get(room, -1), answer.number)

    def _before(self, at: float) -> str:
        later = [kill - at for kill in self.kills if kill >= at]
        return f"{min(later):.3f} s before a kill" if later else "after the last kill"

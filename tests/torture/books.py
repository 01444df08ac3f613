"""What every phone said and heard over all runs of one relay, and what the journal holds of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from relaytw.store.journal_files import unfinished

_NUMBER = re.compile(r"\d+")
#: Messages sent so many seconds before a kill are outside the promise of dialect 3.x.
GRACE = 0.050
#: On a busy machine the relay may be that far behind with reading: what it has read is known, for it reads
#: in order.  Messages that it cannot have read are counted apart, and nothing older than this.
BEHIND = 1.0


@dataclass
class Sent:
    """One message: its room, when it was sent, by which phone, and in which life of the relay.

    A `sealed` one is of a 4.0 phone, which keeps it until the relay has it: nothing excuses its loss.
    """

    room: str
    at: float
    phone: str
    life: int
    sealed: bool = False


@dataclass
class Answer:
    """One answer as a phone got it, in which life of the relay."""

    number: int
    life: int
    again: bool


@dataclass
class Verdict:
    """The outcome of one run; `lost`, `twice` and `disorder` must be empty.

    `sealed` of them were sent by 4.0 phones, whose messages and answers are never lost and never doubled;
    `outside` were sent within `GRACE` of a kill, `unread` within `BEHIND` and nothing behind them was read.
    """

    sent: int = 0
    sealed: int = 0
    answered: int = 0
    journalled: int = 0
    outside: int = 0
    unread: int = 0
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

    def say(self, number: int, room: str, at: float, phone: str, *, sealed: bool = False) -> None:
        """A phone has sent this."""
        self.sent[number] = Sent(room, at, phone, len(self.kills), sealed)

    def hear(self, text: str) -> None:
        """A phone was given this to type."""
        word, number, again = text.split()
        if word != "answer":
            raise ValueError(text)
        self.answers.append(Answer(int(number), len(self.kills), again == "again"))

    def check(self, folder: Path) -> Verdict:
        """Compare; the relay has been killed, or stopped, for good."""
        verdict = Verdict(sent=len(self.sent), sealed=sum(sent.sealed for sent in self.sent.values()))
        journalled = {int(_NUMBER.findall(name)[-1]) for name in unfinished(folder)}
        heard = Counter(answer.number for answer in self.answers)
        read: dict[tuple[str, int], int] = {}
        for number in self.sent.keys() & (heard.keys() | journalled):
            sent = self.sent[number]
            read[sent.phone, sent.life] = max(number, read.get((sent.phone, sent.life), -1))
        for number, sent in self.sent.items():
            if heard[number]:
                verdict.answered += 1
                verdict.journalled += number in journalled
            elif number in journalled:
                verdict.journalled += 1
            elif sent.sealed:
                verdict.lost.append(f"4.0 message {number}, sent {self._before(sent.at)}")
            elif any(0 <= kill - sent.at < GRACE for kill in self.kills):
                verdict.outside += 1
            elif number > read.get((sent.phone, sent.life), -1) and self._behind(sent):
                verdict.unread += 1
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
            if number in self.sent and self.sent[number].sealed:
                again = []
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

    def _behind(self, sent: Sent) -> bool:
        return any(0 <= kill - sent.at < BEHIND for kill in self.kills)

    def _before(self, at: float) -> str:
        later = [kill - at for kill in self.kills if kill >= at]
        return f"{min(later):.3f} s before a kill" if later else "after the last kill"

"""Two phones whose bots answer each other in one room."""

from __future__ import annotations

from tests.unit.relay.harness import RelayTestCase


class LoopTests(RelayTestCase):
    def talk(self, turns: int) -> int:
        """How often the bots of two phones, each of which hears what the other's has said, answer."""
        talkers = (self.proven("one"), self.proven("other"))
        for turn in range(turns):
            talkers[turn % 2].say("# wait", room="room")
            if not self.waiting:
                return turn
            self.let_go("# wait")
        return turns

    def test_stopped(self) -> None:
        """They fall silent after as many turns as are allowed; what a person says there is answered still."""
        self.assertEqual(self.talk(10), 4)
        self.assertEqual(self.relay.sessions.stages.metrics.loops, 1)
        person = self.phones[0]
        person.say("# echo hello", room="room")
        self.assertEqual(person.texts[-1], "에코: hello")

    def test_allowed(self) -> None:
        """Where that is allowed they go on."""
        self.start({"limits": {"loop_depth": 0}})
        self.assertEqual(self.talk(10), 10)

"""Forgetting a person everywhere: in the tables, in the journal, among the dead letters."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relaytw.services.writer import GATHER
from tests.unit.relay.journals import FOLDER, JournalTestCase


class ForgettingTests(JournalTestCase):
    def forget(self, user_hash: str) -> tuple[int, int, bool]:
        """Have a person forgotten; messages, answers, and whether there is more."""
        forgotten = Deferred.fromCoroutine(self.relay.operator.forget(user_hash))
        self.advance(GATHER)
        return self.successResultOf(forgotten)

    def on_disk(self) -> bytes:
        """All that the journal's files hold."""
        self.advance(0)
        return b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.log")))

    def test_journal(self) -> None:
        """What was said and answered goes out of table and files; what others said stays in both."""
        phone = self.proven()
        phone.say("# echo mine", user_hash="ada")
        phone.say("# echo his", user_hash="bob")
        self.assertIn(b"mine", self.on_disk())
        self.assertEqual(self.forget("ada"), (2, 1, False))  # a row, and a line of the journal
        self.assertNotIn(b"mine", self.on_disk())
        self.assertIn(b"his", self.on_disk())
        texts = self.database.rows("SELECT message FROM kb_chat_logs ORDER BY id")
        self.assertEqual(texts, [("# echo his",), ("에코: his",)])

    def test_known_as_before(self) -> None:
        """What was forgotten is not run when the phone sends it again, after a restart neither."""
        phone = self.proven()
        line = phone.say("# wait", user_hash="ada")
        self.let_go("done")
        self.forget("ada")
        self.restart()
        self.messages.clear()
        again = self.proven()
        again.send(line)
        self.assertEqual(self.heard_texts(), [])

    def test_dead_letters(self) -> None:
        """A message of the person that was given up is deleted."""
        for user_hash in ("ada", "bob"):
            self.proven(user_hash).say("# wait", user_hash=user_hash)
        for _ in range(3):
            self.waiting.clear()
            self.restart()
            self.advance(1)
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM relaytw_dead_letters"), [(2,)])
        self.forget("ada")
        self.assertEqual(self.database.rows("SELECT device_id FROM relaytw_dead_letters"), [("bob",)])

"""relayctl forget against an invented relay."""

from __future__ import annotations

from tests.unit.cli.fakes import CliTestCase

PATH = "/api/v1/forget"


class ForgetTests(CliTestCase):
    def test_forget(self) -> None:
        """The person named is forgotten, and how much that was is told."""
        self.relay.says("POST", PATH, {"messages": 3, "answers": 2, "more": False})
        self.assertIn("Deleted 3 messages of abc and 2 answers", self.ok("forget", "abc", "--yes"))
        self.assertEqual(self.relay.asked, [("POST", PATH, {"user_hash": "abc"})])

    def test_in_several_goes(self) -> None:
        """While there is more it is asked again, and the progress is told apart from the result."""
        said = iter([True, True, False])
        usual = self.relay.connect

        def connect(url: str) -> object:
            self.relay.says("POST", PATH, {"messages": 10, "answers": 1, "more": next(said)})
            return usual(url)

        self.relay.connect = connect  # type: ignore[method-assign,assignment]
        result = self.run_("forget", "abc", "--yes")
        self.assertIn("Deleted 30 messages of abc and 3 answers", result.stdout)
        self.assertIn("10 messages and 1 answers so far", result.stderr)
        self.assertEqual(len(self.relay.asked), 3)

    def test_asks_first(self) -> None:
        """Without --yes it must be meant."""
        self.run_("forget", "abc")
        self.assertEqual(self.relay.asked, [])

    def test_away(self) -> None:
        """While nothing can be deleted the operator is told why."""
        self.relay.refuses("POST", PATH, 503, "database_away", "the database is away")
        self.assertIn("the database is away", self.fails("forget", "abc", "--yes"))

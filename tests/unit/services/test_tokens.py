"""Tokens in memory and in their table: issued once, revoked at once, and trusted for a while alone."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.admin.callers import Grant, Scope
from relaytw.admin.tokens import NewToken, TokenRefused
from relaytw.errors import Unavailable
from relaytw.services.audit import AuditWriter
from relaytw.services.tokens import TokenKeeper, TokenSettings
from relaytw.testing import MemoryDatabase
from tests.unit.books import done

PUSH = [Scope.PUSH]


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.database = MemoryDatabase()
        self.numbers = count(1)
        self.keeper = self.make()

    def make(self) -> TokenKeeper:
        """A keeper over the same table."""
        audit = AuditWriter(self.database, self.clock, self.clock.seconds, 100)
        keeper = TokenKeeper(
            self.database, self.clock, self.clock.seconds, audit, lambda: f"secret{next(self.numbers)}",
            TokenSettings(most=3),
        )  # fmt: skip
        keeper.startService()
        self.addCleanup(keeper.stopService)
        return keeper

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps."""
        for _ in range(int(seconds)):
            self.clock.advance(1)

    def test_issued(self) -> None:
        """A token counts at once, here and soon elsewhere; of it the table holds the hash alone."""
        other = self.make()
        made = done(self.keeper.issue(NewToken("shop", [Scope.READ, Scope.PUSH], ["bot"]), "admin:ada"))
        self.assertEqual(made.token, "rly_secret1")
        grant = Grant("shop", frozenset({"read", "push"}), frozenset({"bot"}))
        self.assertEqual(self.keeper.check(made.token), grant)
        self.assertIsNone(other.check(made.token))
        self.pass_time(2)
        self.assertEqual(other.check(made.token), grant)
        ((name, digest),) = self.database.rows("SELECT name, hash FROM relaytw_tokens")
        self.assertEqual((name, digest), ("shop", sha256(made.token.encode()).hexdigest()))
        self.assertEqual(
            self.database.rows("SELECT actor, act, detail FROM relaytw_audit"),
            [("admin:ada", "issue token", "shop: push read")],
        )

    def test_revoked(self) -> None:
        """A revoked token counts no more from the very moment, though a look was under way."""
        made = done(self.keeper.issue(NewToken("shop", PUSH), "admin"))
        done(self.keeper.revoke("shop", "admin"))
        self.assertIsNone(self.keeper.check(made.token))
        self.pass_time(4)
        self.assertIsNone(self.keeper.check(made.token))
        with self.assertRaises(TokenRefused):
            done(self.keeper.revoke("shop", "admin"))
        with self.assertRaises(TokenRefused):
            done(self.keeper.issue(NewToken("shop", PUSH), "admin"))
        (told,) = done(self.keeper.tokens())
        self.assertIsNotNone(told.revoked_at)

    def test_expired(self) -> None:
        """A token ends to count when it was said that it would."""
        made = done(self.keeper.issue(NewToken("shop", PUSH, None, self.clock.seconds() + 10), "admin"))
        self.pass_time(9)
        self.assertIsNotNone(self.keeper.check(made.token))
        self.pass_time(1)
        self.assertIsNone(self.keeper.check(made.token))

    def test_database_away(self) -> None:
        """Without the database a known token counts for a while, an unknown one never; none is revoked."""
        made = done(self.keeper.issue(NewToken("shop", PUSH), "admin"))
        self.pass_time(2)
        self.database.go_away()
        self.pass_time(299)
        self.assertIsNotNone(self.keeper.check(made.token))
        self.pass_time(5)
        with self.assertRaises(Unavailable):
            self.keeper.check(made.token)
        self.assertIsNone(self.keeper.check("rly_other"))
        with self.assertRaises(Unavailable):
            done(self.keeper.revoke("shop", "admin"))
        self.database.come_back()
        self.pass_time(2)
        self.assertIsNotNone(self.keeper.check(made.token))

    def test_guessing(self) -> None:
        """Who guesses costs no question to the database, however long his guess."""
        before = self.database.ran
        for guess in ("", "rly_", "x" * 100_000, "가"):
            self.assertIsNone(self.keeper.check(guess))
        self.assertEqual(self.database.ran, before)

    def test_used(self) -> None:
        """When a token was last used is written down soon."""
        made = done(self.keeper.issue(NewToken("shop", PUSH), "admin"))
        self.keeper.check(made.token)
        self.pass_time(2)
        self.assertEqual(self.database.rows("SELECT used_ms FROM relaytw_tokens"), [(1_000_000_000,)])

    def test_bad(self) -> None:
        """What would be good for nothing, or too much, is not made."""
        for wanted in (
            NewToken("", PUSH), NewToken(" x", PUSH), NewToken("x" * 51, PUSH), NewToken("x", []),
            NewToken("x", PUSH, []), NewToken("x", PUSH, None, 5.0),
        ):  # fmt: skip
            with self.assertRaises(TokenRefused):
                done(self.keeper.issue(wanted, "admin"))
        for number in range(3):
            done(self.keeper.issue(NewToken(str(number), PUSH), "admin"))
        with self.assertRaises(TokenRefused):
            done(self.keeper.issue(NewToken("more", PUSH), "admin"))
        self.assertEqual(len(self.database.rows("SELECT * FROM relaytw_tokens")), 3)

"""Rotating and retiring the secret: what is written, refused, counted, and who would be locked out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.logger import globalLogPublisher

from relaytw.admin.secrets import SecretRefused
from relaytw.config import AuthConfig
from relaytw.credentials import Credentials
from relaytw.keyring import Keyring
from relaytw.messages import ClientKey
from relaytw.services.secrets import SETTLING, SecretKeeper
from relaytw.signers import Signers
from tests.unit.admin.fakes import Events
from tests.unit.doors import Door
from tests.unit.folders import OwnFolder

PHONE, OTHER, OWN = ClientKey("bot", "phone"), ClientKey("bot", "other"), ClientKey("Weather", "phone")


class SecretTestCase(OwnFolder):
    """A keeper over a real state folder, on a clock of its own."""

    def setUp(self) -> None:
        self.state = self.enter_folder() / "state"
        self.time = 2e9
        self.connected: set[ClientKey] = set()
        self.tokens = 0
        self.acts: list[tuple[str, str]] = []
        self.logged = Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.start()

    def start(self, in_thread: Callable[..., Deferred[Any]] = execute, **auth: Any) -> None:
        """Start a relay's keeper with this `[auth]`."""
        credentials = Credentials.load(AuthConfig.model_validate(auth), self.state, self.token)
        self.keys = Keyring(credentials, Signers(2))
        self.keeper = SecretKeeper(
            close_forgotten=lambda: None,
            keyring=self.keys,
            gate=Door().gate,
            is_connected=self.connected.__contains__,
            disconnect=self.connected.discard,
            in_thread=in_thread,
            required=credentials.kept is None or auth.get("required", True),
            note=lambda actor, act: self.acts.append((actor, act)),
            now=lambda: self.time,
        )

    def token(self, _: int) -> str:
        """A different secret each time."""
        self.tokens += 1
        return f"made-{self.tokens}"

    def signs(self, client: ClientKey, secret: int, at: float) -> None:
        """A client has signed with the secret of this index, at this time."""
        self.keys.signed(client, secret).at = at

    def refused(self, act: Callable[[], Any]) -> tuple[str, str]:
        """The code and the sentence of a refusal."""
        try:
            error = self.failureResultOf(act(), SecretRefused).value
        except SecretRefused as raised:
            error = raised
        return error.code, str(error)

    def audit(self) -> list[str]:
        """What was logged in category audit."""
        found = [event for event in self.logged if event.get("log_namespace") == "relaytw.audit"]
        return [event["log_format"].format(**event) for event in found]

    @property
    def valid(self) -> tuple[bytes, ...]:
        """The common secrets, as they are now."""
        return self.keys.credentials.common.secrets


class RotateTests(SecretTestCase):
    def test_both(self) -> None:
        """The new secret and the old one are valid together, now and after a restart."""
        told = self.successResultOf(self.keeper.rotate())
        self.assertEqual(Path(told.path), (self.state / "secret").absolute())
        self.assertEqual((Path(told.old_path).name, told.rotated_at), ("secret.old", self.time))
        self.assertEqual(self.valid, (b"made-2", b"made-1"))
        self.start()
        self.assertEqual(self.valid, (b"made-2", b"made-1"))
        (common,) = self.keeper.status().sets
        self.assertEqual(common.rotated_at, (self.state / "secret").stat().st_mtime)

    def test_logged(self) -> None:
        """Rotation and retirement are in the audit log, the secrets are not."""
        self.successResultOf(self.keeper.rotate())
        self.successResultOf(self.keeper.retire(force=False))
        rotated, retired = self.audit()
        self.assertIn("a new secret is valid", rotated)
        self.assertIn("the old secret is retired; 0 clients", retired)
        self.assertNotIn("made-", str(self.logged))

    def test_configured(self) -> None:
        """A secret that is configured is changed where it is configured; how, is said."""
        for auth in ({"secret": "given"}, {"secrets": ["new", "old"]}):
            self.start(**auth)
            for act in (self.keeper.rotate, lambda: self.keeper.retire(force=True)):
                code, said = self.refused(act)
                self.assertEqual(code, "secret_configured")
                self.assertIn(f"configured by auth.{next(iter(auth))}", said)
                self.assertIn('auth.secrets = ["new", "old"]', said)

    def test_twice(self) -> None:
        """While an old secret is valid there is no third one."""
        self.successResultOf(self.keeper.rotate())
        code, said = self.refused(self.keeper.rotate)
        self.assertEqual(code, "old_secret_valid")
        self.assertIn("relayctl secret retire", said)
        self.assertEqual(self.valid, (b"made-2", b"made-1"))

    def test_disk(self) -> None:
        """What the disk refuses is told and logged, and changes nothing."""
        (self.state / "secret.old").mkdir()
        code, said = self.refused(self.keeper.rotate)
        self.assertEqual(code, "state_unwritable")
        self.assertIn("the state folder cannot be written", said)
        self.assertEqual(self.valid, (b"made-1",))
        self.assertEqual(len(self.audit()), 1)
        (self.state / "secret.old").rmdir()
        self.successResultOf(self.keeper.rotate())

    def test_meanwhile(self) -> None:
        """Only one change at a time; one whose operator has gone away is finished all the same."""
        written: Deferred[Any] = Deferred()
        self.start(lambda work: written.addCallback(lambda _: work()))
        asked = self.keeper.rotate()
        for act in (self.keeper.rotate, lambda: self.keeper.retire(force=True)):
            self.assertEqual(self.refused(act)[0], "secret_busy")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.valid, (b"made-1",))
        written.callback(None)
        self.assertEqual(self.valid, (b"made-2", b"made-1"))
        self.assertEqual(len(self.audit()), 1)

    def test_fault(self) -> None:
        """A fault of ours is no refusal: whoever asked gets it, and the next change is possible."""
        self.start(lambda work: execute(lambda: 1 / 0))
        self.failureResultOf(self.keeper.rotate(), ZeroDivisionError)
        self.failureResultOf(self.keeper.rotate(), ZeroDivisionError)


class RetireTests(SecretTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.time += 1000
        self.signs(PHONE, 0, self.time)
        self.successResultOf(self.keeper.rotate())

    def test_in_use(self) -> None:
        """Somebody who would be locked out is named, and spared unless that is forced."""
        code, said = self.refused(lambda: self.keeper.retire(force=False))
        self.assertEqual(code, "secret_in_use")
        self.assertIn("1 clients signed with the old secret last and would be locked out: bot@phone", said)
        self.assertEqual(self.valid, (b"made-2", b"made-1"))
        self.connected |= {PHONE, OTHER}
        (locked_out,) = self.successResultOf(self.keeper.retire(force=True)).locked_out
        self.assertEqual((locked_out.bot, locked_out.device, locked_out.connected), (*PHONE, True))
        self.assertEqual(self.connected, {OTHER})
        self.assertEqual(self.valid, (b"made-2",))
        self.assertFalse((self.state / "secret.old").exists())

    def test_nobody(self) -> None:
        """Once everybody signs with the new one nothing needs force, and the next rotation is possible."""
        self.signs(PHONE, 0, self.time)
        self.assertEqual(self.successResultOf(self.keeper.retire(force=False)).locked_out, [])
        self.successResultOf(self.keeper.rotate())
        self.assertEqual(self.valid, (b"made-3", b"made-2"))

    def test_none(self) -> None:
        """Without an old secret there is nothing to end."""
        self.successResultOf(self.keeper.retire(force=True))
        self.assertEqual(self.refused(lambda: self.keeper.retire(force=True))[0], "no_old_secret")

    def test_restarted(self) -> None:
        """A relay that has just started does not know yet who signs with what, and says so."""
        self.start()
        code, said = self.refused(lambda: self.keeper.retire(force=False))
        self.assertEqual(code, "secret_in_use")
        self.assertIn("the relay has started 0 s ago", said)
        self.time += SETTLING
        self.successResultOf(self.keeper.retire(force=False))

    def test_too_many(self) -> None:
        """Where clients had to be forgotten the old secret is not ended lightly either."""
        self.signs(PHONE, 0, self.time)
        for device in ("2", "3"):
            self.signs(ClientKey("bot", device), 0, self.time)
        self.assertEqual(self.keeper.status().forgotten, 1)
        self.assertIn("[auth] signers", self.refused(lambda: self.keeper.retire(force=False))[1])

    def test_many_names(self) -> None:
        """Not more than five are named."""
        self.keys.signers = Signers(100)
        for number in range(7):
            self.signs(ClientKey("bot", f"phone-{number}"), 1, self.time + number)
        said = self.refused(lambda: self.keeper.retire(force=False))[1]
        self.assertIn("7 clients", said)
        self.assertTrue(
            said.endswith("bot@phone-6, bot@phone-5, bot@phone-4, bot@phone-3, bot@phone-2 and 2 more")
        )


class StatusTests(SecretTestCase):
    def test_common(self) -> None:
        """Those who sign with an old secret are listed, the last seen first; the others are counted."""
        for number, client in enumerate((PHONE, OTHER)):
            self.signs(client, 0, self.time + number)
        self.successResultOf(self.keeper.rotate())
        self.connected.add(OTHER)
        (common,) = self.keeper.status().sets
        self.assertEqual((common.valid, common.new, common.common, common.bots), (2, 0, True, []))
        self.assertEqual(
            [(user.device, user.secret, user.last_seen, user.connected) for user in common.old],
            [("other", 1, self.time + 1, True), ("phone", 1, self.time, False)],
        )
        self.signs(OTHER, 0, self.time + 2)
        (common,) = self.keeper.status().sets
        self.assertEqual((common.new, [user.device for user in common.old]), (1, ["phone"]))

    def test_configured(self) -> None:
        """Configured secrets are counted likewise, those of each bot apart, with where they come from."""
        bots = {"Weather": {"secrets": ["new", "old", "older"]}, "salted": {"salt": "x"}}
        self.start(secrets=["new", "old"], bots=bots)
        self.signs(OWN, 2, self.time)
        self.signs(PHONE, 0, self.time)
        status = self.keeper.status()
        self.assertEqual((status.required, status.watched_since), (True, self.time))
        common, own = status.sets
        self.assertEqual(
            (common.source, common.bots, common.valid, common.new), ("auth.secrets", ["salted"], 2, 1)
        )
        self.assertEqual((own.source, own.bots, own.valid), ('auth.bots."Weather".secrets', ["Weather"], 3))
        self.assertEqual([(user.bot, user.secret) for user in own.old], [("Weather", 2)])
        self.assertEqual((common.rotated_at, own.common), (None, False))

    def test_of_nobody(self) -> None:
        """Another bot's clients are no reason to keep the common secret."""
        self.start(bots={"Weather": {"secrets": ["new", "old"]}})
        self.successResultOf(self.keeper.rotate())
        self.signs(OWN, 1, self.time)
        self.assertEqual(self.successResultOf(self.keeper.retire(force=False)).locked_out, [])
        self.assertEqual(len(self.keeper.status().sets[1].old), 1)

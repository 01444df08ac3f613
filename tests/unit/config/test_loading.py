"""Reading the configuration: where values come from, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

from relaytw.config import load, load_with_origins
from relaytw.errors import ConfigError
from tests.unit.folders import OwnFolder


class LoadingTestCase(OwnFolder):
    def setUp(self) -> None:
        self.path = self.enter_folder() / "relay.toml"

    def file(self, text: str) -> Path:
        """A configuration file that holds this."""
        self.path.write_text(text, encoding="utf-8")
        return self.path

    def complaint(self, text: str = "", **environ: str) -> str:
        """What is said about this file in this environment."""
        return str(self.assertRaises(ConfigError, load, self.file(text), environ, {}))


class OriginTests(LoadingTestCase):
    def test_nothing(self) -> None:
        """Without file, environment and flags everything is as the model says, and comes from nowhere."""
        config, origins = load_with_origins(None, {"HOME": "/"}, {})
        self.assertEqual(config.limits.per_room, 3)
        self.assertEqual(origins, {})

    def test_order(self) -> None:
        """A flag wins over the environment, that over the file, and that over the default."""
        path = self.file('[relay]\nname = "file"\nmode = "direct"\nstate_dir = "file"\n')
        environ = {"RELAYTW_RELAY__NAME": "environment", "RELAYTW_RELAY__STATE_DIR": "environment"}
        config, origins = load_with_origins(path, environ, {"relay.name": "flag"})
        relay = config.relay
        self.assertEqual((relay.name, relay.state_dir, relay.mode), ("flag", "environment", "direct"))
        self.assertEqual(relay.timezone, "Asia/Seoul")
        self.assertEqual(
            origins,
            {
                "relay.name": "flag",
                "relay.state_dir": "environment RELAYTW_RELAY__STATE_DIR",
                "relay.mode": f"file {path}",
            },
        )

    def test_environment(self) -> None:
        """Numbers and booleans are read from text, lists and tables from JSON."""
        config = load(
            None,
            {
                "RELAYTW_LIMITS__PER_ROOM": "7",
                "RELAYTW_AUTH__REQUIRED": "false",
                "RELAYTW_RELAY__LISTEN": '["tcp:1", "tcp:2"]',
                "RELAYTW_AUTH__BOTS": '{"Weather": {"secret": "s"}}',
                "RELAYTW_AUTH__SECRET": "[no list",
            },
            {},
        )
        self.assertEqual(config.limits.per_room, 7)
        self.assertFalse(config.auth.required)
        self.assertEqual(config.relay.listen, ("tcp:1", "tcp:2"))
        self.assertEqual(config.auth.bots["Weather"].secret, "s")
        self.assertEqual(config.auth.secret, "[no list")

    def test_tables(self) -> None:
        """A table in the environment replaces that of the file."""
        path = self.file('[log.categories]\nsession = "debug"\n')
        self.assertEqual(load(path, {}, {}).log.categories, {"session": "debug"})
        replaced = load(path, {"RELAYTW_LOG__CATEGORIES": '{"ping": "info"}'}, {})
        self.assertEqual(replaced.log.categories, {"ping": "info"})


class ComplaintTests(LoadingTestCase):
    def test_all_at_once(self) -> None:
        """Every mistake is listed with key, value, origin and what is allowed."""
        told = self.complaint(
            "[limits]\nconsumers = 0\n[limit]\nx = 1\n",
            RELAYTW_RELAY__MODE="slow",
            RELAYTW_RELAY__LISTEN="tcp:1",
        )
        for line in (
            f"  limits.consumers = 0 (from file {self.path}): must be greater than or equal to 1",
            f"  limit: unknown key (from file {self.path}); did you mean limits?",
            "  relay.mode = 'slow' (from environment RELAYTW_RELAY__MODE): must be 'queued' or 'direct'",
        ):
            self.assertIn(line, told.splitlines())
        a_list = "relay.listen = 'tcp:1' (from environment RELAYTW_RELAY__LISTEN): must be a list, such as ["
        self.assertIn(a_list, told)
        self.assertEqual(len(told.splitlines()), 5)

    def test_flag(self) -> None:
        """A mistake in a flag is said to be in the flag."""
        error = self.assertRaises(ConfigError, load, None, {}, {"relay.listen": ["nonsense"]})
        self.assertIn("relay.listen.0 = 'nonsense' (from flag): must be an endpoint", str(error))

    def test_together(self) -> None:
        """What is wrong only together names every place it was given."""
        told = self.complaint('[auth]\nsecret_file = "f"\n', RELAYTW_AUTH__SECRET="s")
        self.assertIn(f"auth (from environment RELAYTW_AUTH__SECRET and file {self.path}): give one of", told)
        self.assertIn(
            f"limits (from file {self.path}): consumers_max must be at least consumers (40)",
            self.complaint("[limits]\nconsumers = 40\n"),
        )

    def test_nearest(self) -> None:
        """An unknown key is told with the known one that is like it, else with all there are."""
        self.assertIn("limits.per_rom: unknown key", self.complaint("[limits]\nper_rom = 1\n"))
        self.assertIn("did you mean per_room?", self.complaint("[limits]\nper_rom = 1\n"))
        self.assertIn("known here: interval, jitter", self.complaint("[ping]\nzzz = 1\n"))
        self.assertIn("ping: unknown key", self.complaint("[auth.bots.x]\nping = 1\n"))

    def test_no_secret_is_shown(self) -> None:
        """Whatever is wrong, no complaint holds a secret."""
        for text in (
            '[auth]\nsecret = ["hidden"]\n',
            '[auth]\nsecret = "hidden"\nsecrets = ["hidden"]\n',
            '[auth]\nsecrets = [["hidden"]]\n',
            '[auth.bots]\nWeather = "hidden"\n',
            '[auth.bots.Weather]\nsecret_fil = "hidden"\n',
            '[database]\nurl = "postgres://user:hidden@host"\n',
        ):
            told = self.complaint(text)
            self.assertIn("cannot be used", told)
            self.assertNotIn("hidden", told, text)

    def test_file(self) -> None:
        """A file that is missing, unreadable or no TOML is said to be so."""
        missing = self.assertRaises(ConfigError, load, Path("missing.toml"), {}, {})
        self.assertEqual(
            str(missing), "there is no configuration file missing.toml; create it or leave --config out"
        )
        self.assertIn("cannot be read", str(self.assertRaises(ConfigError, load, Path(), {}, {})))
        self.path.write_bytes(b"\xff\xfe")
        self.assertIn("cannot be read", str(self.assertRaises(ConfigError, load, self.path, {}, {})))
        self.assertIn(f"{self.path} is not valid TOML", self.complaint("[relay\n"))

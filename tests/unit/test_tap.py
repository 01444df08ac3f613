"""The command line of `twistd relay`, and the relay that is assembled of it."""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import execute
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from relaytw import __version__, logs
from relaytw.assembly import Relay, assemble
from relaytw.config import Config
from relaytw.errors import ConfigError
from relaytw.messages import Dialect, Status
from relaytw.phone import Identity
from relaytw.protocols.wire.phone import HandshakeComplete, RelayPacket, decode_from_relay, encode_handshake
from relaytw.tap import Options, makeService
from relaytw.testing import MemoryDatabase
from tests.unit.books import done
from tests.unit.folders import OwnFolder

NOW = 1_700_000_000.0


class OptionsTestCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = self.enter_folder()
        for name in [name for name in os.environ if name.startswith("RELAYTW_")]:
            self.addCleanup(os.environ.__setitem__, name, os.environ.pop(name))
        policy = logs.policy()
        for name in ("format", "level", "categories", "path"):
            self.patch(policy, name, getattr(policy, name))
        self.addCleanup(policy.apply)

    def options(self, *arguments: str) -> Options:
        """The options of this command line."""
        options = Options()
        options.parseOptions(arguments)
        return options

    def refused(self, *arguments: str) -> str:
        """What is said about this command line."""
        return str(self.assertRaises(usage.UsageError, self.options, *arguments))

    def printed(self, *arguments: str) -> tuple[str, Any]:
        """What is printed before the process ends, and its exit code."""
        out = StringIO()
        self.patch(sys, "stdout", out)
        left = self.assertRaises(SystemExit, self.options, *arguments)
        return out.getvalue(), left.code

    def write(self, text: str) -> None:
        """Put this into relay.toml."""
        Path("relay.toml").write_text(text, encoding="utf-8")


class OptionsTests(OptionsTestCase):
    def test_none(self) -> None:
        """Without options everything has its default, and no file is read."""
        self.write("nonsense")
        self.assertEqual(self.options().config, Config())

    def test_flags(self) -> None:
        """Flags win over the file, and the rest of the file counts."""
        self.write('[relay]\nname = "file"\nlisten = ["tcp:1"]\nstate_dir = "file"\nmode = "direct"\n')
        config = self.options(
            "--config", "relay.toml", "--name", "flag", "--state-dir", "there", "--database", "sqlite:x",
            "--listen", "tcp:2", "-l", "tcp:3",
        ).config  # fmt: skip
        self.assertEqual(
            (config.relay.name, config.relay.state_dir, config.relay.mode), ("flag", "there", "direct")
        )
        self.assertEqual(config.relay.listen, ("tcp:2", "tcp:3"))
        self.assertEqual(config.database.url, "sqlite:x")

    def test_environment(self) -> None:
        """The environment wins over the file."""
        self.write("[limits]\nper_room = 1\nper_bot = 2\n")
        self.addCleanup(os.environ.pop, "RELAYTW_LIMITS__PER_ROOM")
        os.environ["RELAYTW_LIMITS__PER_ROOM"] = "5"
        limits = self.options("-c", "relay.toml").config.limits
        self.assertEqual((limits.per_room, limits.per_bot), (5, 2))

    def test_mistakes(self) -> None:
        """Bad values stop the start with a sentence for each of them."""
        self.write("[limits]\nconsumers = 0\nper_rom = 1\n")
        told = self.refused("--config", "relay.toml", "--listen", "nowhere", "--name", "")
        for key in (
            "limits.consumers = 0",
            "limits.per_rom: unknown",
            "relay.listen.0 = 'nowhere'",
            "relay.name = ''",
        ):
            self.assertIn(key, told)
        self.assertIn("there is no configuration file", self.refused("--config", "missing.toml"))

    def test_check(self) -> None:
        """--check says that all is well and leaves; it makes nothing, and mistakes are mistakes."""
        self.assertEqual(self.printed("--check"), ("the configuration is valid\n", 0))
        self.assertIn("relay.listen.0", self.refused("--check", "--listen", "nowhere"))
        self.assertEqual(list(Path().iterdir()), [])

    def test_version(self) -> None:
        """The version is one line."""
        self.assertEqual(self.printed("--version"), (f"relaytw {__version__}\n", 0))

    def test_log(self) -> None:
        """The log is written as configured, unless twistd was told of a logger."""
        self.write('[log]\nformat = "json"\nlevel = "error"\n')
        for given, expected in (({}, "relaytw.logs.makeObserver"), ({"logger": "mine"}, "mine")):
            twistd: Any = usage.Options()
            twistd.update({"nodaemon": 1, "logger": None, "logfile": None, "syslog": None, **given})
            options = Options()
            options.parent = twistd
            options.parseOptions(["--config", "relay.toml"])
            self.assertEqual(twistd["logger"], expected)
        self.assertEqual((logs.policy().format, logs.policy().level), ("json", "error"))


class AssembleTestCase(OptionsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor = MemoryReactorClock()

    def relay(self, **sections: Any) -> Relay:
        """The relay of this configuration."""
        config = Config.model_validate(sections)
        return assemble(
            config,
            self.reactor,
            now=lambda: NOW + self.reactor.seconds(),
            database=MemoryDatabase(),
            in_thread=execute,
        )

    def cannot(self, **sections: Any) -> str:
        """Why there is no relay of this configuration."""
        return str(self.assertRaises(ConfigError, self.relay, **sections))


class AssembleTests(AssembleTestCase):
    def test_files(self) -> None:
        """A relay needs no file, and makes two secrets in its state folder and nothing else."""
        verifyObject(IService, self.relay())
        made = sorted(str(path) for path in Path().rglob("*"))
        self.assertEqual(made, ["relay-state", "relay-state/admin-token", "relay-state/secret"])

    def test_quiet_before_start(self) -> None:
        """Until it is started a relay listens to nobody and waits for nothing."""
        self.relay()
        self.assertEqual((self.reactor.tcpServers, self.reactor.getDelayedCalls()), ([], []))

    def test_start_and_stop(self) -> None:
        """A started relay listens for phones everywhere and operators here; a stopped one leaves no timer."""
        relay = self.relay()
        relay.startService()
        self.assertEqual(
            [(server[0], server[3]) for server in self.reactor.tcpServers], [(1490, ""), (8490, "127.0.0.1")]
        )
        self.assertIsNone(relay.operator.ready())
        stopped = relay.stopService()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertIsNotNone(relay.operator.ready())

    def test_configured(self) -> None:
        """A relay listens where it is told to, under its name."""
        relay = self.relay(
            relay={"name": "other", "listen": ["tcp:7", "tcp:8"], "state_dir": "there"},
            admin={"listen": "tcp:9"},
        )
        relay.startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [7, 8, 9])
        self.assertEqual(relay.operator.overview().name, "other")
        self.assertTrue(Path("there/secret").exists())

    def test_phone(self) -> None:
        """A phone that connects is answered, by the rules of the configuration."""
        for approve in (False, True):
            relay = self.relay(auth={"approve_new_devices": approve})
            relay.startService()
            protocol = relay.factory.buildProtocol(None)
            transport = StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(encode_handshake(Identity("bot", "phone-1", Dialect.V33).handshake()))
            answer = self._first(transport)
            assert isinstance(answer, HandshakeComplete)
            self.assertEqual((answer.success, answer.approved), (True, approve))
            (device,) = done(relay.operator.devices()).rows
            self.assertIs(device.status, Status.APPROVED if approve else Status.PENDING)
            relay.stopService()
            self.reactor.advance(0)
            protocol.connectionLost(Failure(ConnectionDone()))

    def _first(self, transport: StringTransport) -> RelayPacket:
        return decode_from_relay(transport.value().split(b"\n")[0])


class FaultTests(AssembleTestCase):
    def test_state_dir(self) -> None:
        """A state folder that cannot be written is named, with the option that chooses another."""
        Path("file").touch()
        told = self.cannot(relay={"state_dir": "file/below"})
        self.assertIn("the state folder file/below cannot be written", told)
        self.assertIn("--state-dir", told)

    def test_bots(self) -> None:
        """A bot that cannot be loaded is named."""
        self.assertIn("'no_such_bot': not found", self.cannot(bots={"load": ["no_such_bot"]}))

    def test_endpoints(self) -> None:
        """An endpoint that only Twisted can judge is named with its key, and what was wrong."""
        told = self.cannot(relay={"listen": ["ssl:1490:privateKey=missing.pem"]})
        self.assertIn("relay.listen cannot be used (FileNotFoundError: ", told)
        self.assertIn("missing.pem", told)
        self.assertIn(
            "admin.listen cannot be used (TypeError: ", self.cannot(admin={"listen": "tcp:1:colour=red"})
        )


class MakeServiceTests(OptionsTestCase):
    def setUp(self) -> None:
        super().setUp()
        path = list(sys.path)
        self.addCleanup(sys.path.__setitem__, slice(None), path)

    def test_bots_of_this_folder(self) -> None:
        """Bots are found in the folder where the relay is started."""
        self.addCleanup(sys.modules.pop, "bot_of_this_folder", None)
        Path("bot_of_this_folder.py").write_text(
            "from relaytw.bots import Bot\nbot = Bot()\n", encoding="utf-8"
        )
        self.write('[bots]\nload = ["bot_of_this_folder"]\n')
        service = makeService(self.options("--config", "relay.toml"))
        self.assertIsInstance(service, Relay)
        self.assertIn("bot_of_this_folder", sys.modules)

    def test_fault(self) -> None:
        """What cannot work ends the start with a sentence, not with a traceback."""
        Path("file").touch()
        left = self.assertRaises(SystemExit, makeService, self.options("--state-dir", "file"))
        self.assertIn("relay: the state folder file cannot be written", str(left.code))

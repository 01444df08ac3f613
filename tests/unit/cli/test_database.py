"""`relayctl db`, `backup` and `restore`, on files of their own."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.unit.cli.fakes import CliTestCase
from tests.unit.cli.test_commands import STATUS

ROOM = "CREATE TABLE kb_rooms (room_id TEXT, bot_name TEXT, status TEXT)"


class DatabaseTests(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.relay.failure = ConnectionRefusedError(111, "Connection refused")

    def sql(self, statement: str, path: str = "relay-state/relay.db") -> None:
        """Run a statement in a database file."""
        Path(path).parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    def out(self, *arguments: str, code: int) -> str:
        """What relayctl printed before it ended with this code."""
        result = self.run_(*arguments)
        self.assertEqual(result.exit_code, code, result.output)
        return result.stdout

    def use(self, url: str) -> None:
        """Configure this database."""
        Path("relay.toml").write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")

    def test_nothing_yet(self) -> None:
        """Where no relay has been started the start makes the tables, and looking makes nothing."""
        self.assertIn("makes its tables when it starts", self.ok("db", "check"))
        self.assertFalse(Path("relay-state/relay.db").exists())

    def test_upgrade(self) -> None:
        """Steps are listed, done and told; then nothing is left to do.  The relay's own file needs no yes."""
        self.sql(ROOM)
        self.assertIn("add to kb_rooms the columns", self.out("db", "check", code=1))
        listed = self.ok("db", "upgrade", "--dry-run")
        self.assertIn("Nothing was done", listed)
        done = self.ok("db", "upgrade")
        self.assertIn("done: add to kb_rooms the columns", done)
        self.assertIn("needs nothing", self.ok("db", "upgrade"))
        self.assertIn("kb_rooms", self.ok("db", "check"))
        self.assertEqual(json.loads(self.ok("db", "check", "--json"))["verdict"], "fit")

    def test_asks(self) -> None:
        """A database that is not the relay's own is changed after a yes."""
        self.use("sqlite:other.db")
        self.sql(ROOM, "other.db")
        self.out("db", "upgrade", code=1)
        self.out("db", "check", code=1)
        self.ok("db", "upgrade", "--yes")
        self.ok("db", "check")

    def test_not_understood(self) -> None:
        """What is not understood exits with 2, from either command, and says why."""
        self.sql("CREATE TABLE kb_rooms (x)")
        for command in ("check", "upgrade"):
            self.assertIn("kb_rooms has no room_id", self.out("db", command, code=2))

    def test_unreachable(self) -> None:
        """A database that cannot be used exits with 3."""
        Path("other.db").write_bytes(b"rubbish" * 1000)
        self.use("sqlite:other.db")
        self.assertIn("not a database", self.fails("db", "check", code=3))
        self.use("nonsense:")
        self.assertIn("database.url", self.fails("db", "check", code=1))

    def test_copies(self) -> None:
        """A backup is restored into another state folder; what is wrong is said in a sentence."""
        self.ok("db", "upgrade")
        Path("relay-state/secret").write_text("hush\n", encoding="utf-8")
        self.assertIn("0 rows of 16 tables, 2 secrets", self.ok("backup", "copy.tar.gz"))
        self.assertIn("there is no table kb_roms", self.fails("backup", "copy.tar.gz", "--tables", "kb_roms"))
        self.ok("--state-dir", "moved", "restore", "copy.tar.gz")
        self.assertEqual(Path("moved/secret").read_text(encoding="utf-8"), "hush\n")
        self.assertIn("is damaged", self.fails("restore", "relay-state/secret"))

    def test_running(self) -> None:
        """Nothing is restored below a relay that runs; another relay on the same address does not matter."""
        self.ok("db", "upgrade")
        self.ok("backup", "copy.tar.gz")
        self.relay.failure = None
        self.relay.says("GET", "/api/v1/status", STATUS)
        self.assertIn("stop it first", self.fails("restore", "copy.tar.gz"))
        self.relay.refuses("GET", "/api/v1/status", 401, "unauthorized", "no")
        self.ok("restore", "copy.tar.gz")

    def test_light(self) -> None:
        """Other commands do not wait for what these import."""
        for name in [
            name for name in sys.modules if name.startswith(("relaytw.cli.database", "relaytw.cli.status"))
        ]:
            self.addCleanup(sys.modules.__setitem__, name, sys.modules.pop(name))
        self.ok("--help")
        self.assertNotIn("relaytw.cli.database", sys.modules)

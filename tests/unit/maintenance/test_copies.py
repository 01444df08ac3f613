"""Backups and restores: whole, checked before anything is changed, and refused where they would destroy."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from relaytw.maintenance.access import Access, MaintenanceError
from relaytw.maintenance.archive import MANIFEST, PART, Archive
from relaytw.maintenance.backup import NOT_COPIED, back_up, chosen_tables
from relaytw.maintenance.checking import Verdict, apply, check
from relaytw.maintenance.restore import Choice, restore
from relaytw.store.schema import metadata
from relaytw.store.urls import DatabaseUrl, Engine
from tests.unit.folders import OwnFolder
from tests.unit.store.shapes import NOW, SETTINGS

EVERY = chosen_tables(None)
ROOM = "INSERT INTO kb_rooms (room_id, bot_name, device_id, room_name, muted) VALUES "


class CopyTestCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = self.enter_folder()
        self.source, self.target = self.relay("source"), self.relay("target")
        self.archive = self.folder / "copy.tar.gz"
        self.told: list[str] = []
        apply(self.source, self.told.append)
        (self.source.state_dir / "secret").write_text("hush\n")
        (self.source.state_dir / "admin-token").write_text("sesame\n")

    def relay(self, name: str) -> Access:
        """A relay's folder, with an SQLite file that is not there yet."""
        url = DatabaseUrl(Engine.SQLITE, self.folder / name / "relay.db", own=True)
        return Access(url, SETTINGS, self.folder / name, "Asia/Seoul", lambda: NOW)

    def sql(self, access: Access, statement: str, *values: Any) -> list[Any]:
        """Run a statement in a relay's tables."""
        with closing(sqlite3.connect(access.url.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def back_up(self, tables: str | None = None) -> Any:
        """Copy the source."""
        return back_up(self.source, self.archive, chosen_tables(tables), "random", self.told.append)

    def restore(self, access: Access | None = None, **choice: Any) -> Any:
        """Put the copy into the target."""
        return restore(access or self.target, self.archive, Choice(EVERY, **choice), self.told.append)

    def refused(self, access: Access | None = None, **choice: Any) -> str:
        """Why the copy is not put into the target."""
        return str(self.assertRaises(MaintenanceError, self.restore, access, **choice))


class BackupTests(CopyTestCase):
    def test_contents(self) -> None:
        """Every table and secret is in it, and who may read the file is its owner alone."""
        self.sql(self.source, ROOM + "('1', 'b', 'd', '방', 1)")
        manifest = self.back_up()
        self.assertEqual(set(manifest.tables), set(metadata.tables) - NOT_COPIED)
        self.assertEqual((manifest.tables["kb_rooms"].rows, manifest.engine), (1, "sqlite"))
        self.assertEqual(manifest.files, ["secret", "admin-token"])
        self.assertEqual(self.archive.stat().st_mode & 0o777, 0o600)
        self.assertEqual([path.name for path in self.folder.iterdir() if "partial" in path.name], [])

    def test_chosen(self) -> None:
        """Tables can be named, or left out; names that are none are refused."""
        self.assertEqual(list(self.back_up("kb_rooms, kb_servers").tables), ["kb_rooms", "kb_servers"])
        self.assertEqual(chosen_tables("-kb_chat_logs"), [name for name in EVERY if name != "kb_chat_logs"])
        error = self.assertRaises(MaintenanceError, chosen_tables, "kb_roms")
        self.assertIn("kb_roms", str(error))

    def test_while_it_is_written_to(self) -> None:
        """A copy shows one moment, whatever is written meanwhile."""
        self.sql(self.source, ROOM + "('1', 'b', 'd', 'before', 0)")
        self.sql(self.source, "PRAGMA journal_mode = WAL")

        def told(line: str) -> None:
            if line.startswith(EVERY[0]):
                self.sql(self.source, "UPDATE kb_rooms SET room_name = 'after'")

        back_up(self.source, self.archive, EVERY, "random", told)
        self.assertEqual(self.sql(self.source, "SELECT room_name FROM kb_rooms"), [("after",)])
        self.restore()
        self.assertEqual(self.sql(self.target, "SELECT room_name FROM kb_rooms"), [("before",)])

    def test_fails(self) -> None:
        """A copy that fails leaves the older one, and nothing of its own."""
        self.archive.write_bytes(b"older")
        self.sql(self.source, "CREATE VIEW other AS SELECT 1")
        self.sql(self.source, "DROP TABLE kb_rooms")
        self.sql(self.source, "CREATE VIEW kb_rooms AS SELECT 1")
        self.assertRaises(MaintenanceError, self.back_up)
        self.assertEqual(self.archive.read_bytes(), b"older")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["copy.tar.gz", "source"])

    def test_nowhere(self) -> None:
        """A folder that is not there is said to be so."""
        self.archive = self.folder / "none" / "copy.tar.gz"
        self.assertIn("cannot be written", str(self.assertRaises(MaintenanceError, self.back_up)))

    def test_no_database(self) -> None:
        """Without a database there is nothing to copy, and none is made."""
        error = self.assertRaises(MaintenanceError, back_up, self.target, self.archive, EVERY, "x", print)
        self.assertIn("no database", str(error))
        self.assertFalse(self.target.state_dir.exists())


class RestoreTests(CopyTestCase):
    def test_round_trip(self) -> None:
        """What was copied is there again, secrets too, in a folder where nothing was."""
        long = "가" * 65_000
        for number, text in enumerate((None, "", long, "👨‍👩‍👧‍👦\x00\n", "x" * 3 * PART)):
            self.sql(
                self.source, "INSERT INTO kb_chat_logs (channel_id, message) VALUES (?, ?)", number, text
            )
        self.back_up()
        self.assertEqual(dict(self.restore()), {})
        query = "SELECT * FROM kb_chat_logs"
        self.assertEqual(self.sql(self.target, query), self.sql(self.source, query))
        for name, text in (("secret", "hush\n"), ("admin-token", "sesame\n")):
            path = self.target.state_dir / name
            self.assertEqual((path.read_text(), path.stat().st_mode & 0o777), (text, 0o600))

    def test_rows_there(self) -> None:
        """Rows that are there are not given up unasked; asked for, they are, in every table of the copy."""
        self.sql(self.source, ROOM + "('1', 'b', 'd', '', 0)")
        self.back_up()
        apply(self.target, self.told.append)
        self.sql(self.target, ROOM + "('2', 'b', 'd', '', 0)")
        self.sql(self.target, "INSERT INTO kb_servers (server_name) VALUES ('x')")
        self.assertIn("--replace", self.refused())
        self.assertEqual(self.sql(self.target, "SELECT room_id FROM kb_rooms"), [("2",)])
        self.restore(replace=True)
        self.assertEqual(self.sql(self.target, "SELECT room_id FROM kb_rooms"), [("1",)])
        self.assertEqual(self.sql(self.target, "SELECT * FROM kb_servers"), [])

    def test_other_secret(self) -> None:
        """Another secret is not given up unasked: phones may have it."""
        self.back_up()
        self.target.state_dir.mkdir()
        (self.target.state_dir / "secret").write_text("other\n")
        self.assertIn("secret is another one", self.refused())
        self.assertFalse(self.target.url.path.exists())
        self.restore(replace=True)
        self.assertEqual((self.target.state_dir / "secret").read_text(), "hush\n")

    def test_in_use(self) -> None:
        """A file that somebody has open is left alone."""
        self.back_up()
        apply(self.target, self.told.append)
        with closing(sqlite3.connect(self.target.url.path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("SELECT * FROM kb_rooms").fetchall()
            self.assertIn("is in use", self.refused())
        self.restore()

    def test_needs_upgrade(self) -> None:
        """Tables of an older version are upgraded first, by whoever they belong to."""
        self.back_up()
        apply(self.target, self.told.append)
        self.sql(self.target, "DROP INDEX ix_kb_rooms_status")
        self.assertIn("relayctl db upgrade", self.refused())

    def test_unknown_columns(self) -> None:
        """Columns with no place there are left out only when that is asked for; other names are known."""
        self.sql(self.source, "ALTER TABLE kb_bot_devices RENAME COLUMN description TO descryption")
        self.sql(self.source, "ALTER TABLE kb_bot_devices ADD COLUMN shoe_size INTEGER")
        values = "('b', 'd', 'approved', 'counter', 42)"
        names = "(bot_name, device_id, status, descryption, shoe_size)"
        self.sql(self.source, f"INSERT INTO kb_bot_devices {names} VALUES {values}")
        self.back_up()
        self.assertIn("kb_bot_devices.shoe_size", self.refused())
        self.restore(drop_unknown=True)
        self.assertEqual(
            self.sql(self.target, "SELECT status, description FROM kb_bot_devices"), [("approved", "counter")]
        )

    def test_row_refused(self) -> None:
        """A table that refuses a row is as it was, and it is said which are done already."""
        self.sql(self.source, ROOM + "('1', 'b', 'd', '', 0)")
        self.back_up()
        apply(self.target, self.told.append)
        self.sql(self.target, ROOM + "('9', 'b', 'd', '', 0)")
        self.sql(
            self.target,
            "CREATE INDEX grumpy ON kb_rooms (CASE WHEN room_id = '1' THEN abs(-9223372036854775808) END)",
        )
        said = self.refused(replace=True)
        self.assertIn("kb_rooms could not be restored, and is as it was", said)
        self.assertIn("Restored before it: kb_bot_devices", said)
        self.assertEqual(self.sql(self.target, "SELECT room_id FROM kb_rooms"), [("9",)])


class DamageTests(CopyTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in range(50):
            self.sql(self.source, ROOM + "(?, 'b', 'd', 'room', 0)", str(number))
        self.back_up()
        with closing(Archive(self.archive)) as archive:
            self.manifest = archive.verify()

    def assert_refused(self, words: str) -> None:
        """The archive is refused in these words, and nothing was made."""
        self.assertIn(words, self.refused())
        self.assertFalse(self.target.state_dir.exists())

    def rewrite(self, change: Any) -> None:
        """Write the archive anew, each member as `change` gives it; None leaves it out."""
        members = []
        with tarfile.open(self.archive) as tar:
            for info in tar:
                file = tar.extractfile(info)
                assert file is not None
                members.append((info.name, file.read()))
        with tarfile.open(self.archive, "w:gz") as tar:
            for name, data in members:
                changed = change(name, data)
                if changed is not None:
                    info = tarfile.TarInfo(name)
                    info.size = len(changed)
                    tar.addfile(info, io.BytesIO(changed))

    def test_every_byte(self) -> None:
        """Wherever the file is cut or changed, that is noticed, unless all that was copied is there still."""
        whole, harmless = self.archive.read_bytes(), 0
        for place in range(0, len(whole), 97):
            for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
                self.archive.write_bytes(damaged)
                with closing(Archive(self.archive)) as archive:
                    try:
                        manifest = archive.verify()
                    except MaintenanceError:
                        continue
                # Some bytes, as the time in gzip's own header, mean nothing to what is in it.
                self.assertEqual(manifest, self.manifest, place)
                harmless += 1
        self.assertLess(harmless, 20)

    def test_changed(self) -> None:
        """A member that was changed, left out or added is noticed."""
        self.rewrite(lambda name, data: data.replace(b"room", b"moor") if "kb_rooms" in name else data)
        self.assert_refused("is not what was written")
        self.back_up()
        self.rewrite(lambda name, data: None if "kb_rooms" in name else data)
        self.assert_refused("is not what was written")

    def test_no_manifest(self) -> None:
        """An archive without its end is none."""
        self.rewrite(lambda name, data: None if name == MANIFEST else data)
        self.assert_refused("no manifest")

    def test_something_else(self) -> None:
        """A file that is no archive, or not there."""
        self.archive.write_bytes(b"hello")
        self.assert_refused("is damaged")
        self.archive.unlink()
        self.assert_refused("cannot be read")

    def test_newer(self) -> None:
        """An archive of a newer form, or of newer tables, is refused with what to do."""

        def newer(**changes: Any) -> Any:
            def change(name: str, data: bytes) -> bytes:
                return (
                    msgspec.json.encode({**msgspec.json.decode(data), **changes})
                    if name == MANIFEST
                    else data
                )

            return change

        self.rewrite(newer(schema=99, relay_version="9.1"))
        self.assert_refused("relaytw 9.1 or newer")
        self.rewrite(newer(format=99))
        self.assert_refused("made by a newer relay")

    def test_outside(self) -> None:
        """Nothing in an archive is written anywhere but where secrets are."""
        with tarfile.open(self.archive, "w:gz") as tar:
            data = b"x"
            info = tarfile.TarInfo("files/../../escaped")
            info.size = 1
            tar.addfile(info, io.BytesIO(data))
        self.assert_refused("no manifest")
        self.assertFalse((self.folder / "escaped").exists() or (self.folder.parent / "escaped").exists())


class CheckTests(CopyTestCase):
    def test_nothing(self) -> None:
        """Where no file is, none is made by looking."""
        self.assertEqual(check(self.target).verdict, Verdict.EMPTY)
        self.assertFalse(self.target.state_dir.exists())

    def test_fit(self) -> None:
        """A database of this version is fit, its rows are counted, and looking changes nothing."""
        self.sql(self.source, ROOM + "('1', 'b', 'd', '', 0)")
        before = Path(self.source.url.path).read_bytes()
        report = check(self.source)
        self.assertEqual((report.verdict, report.steps, report.differences), (Verdict.FIT, [], []))
        self.assertEqual({table.name: table.rows for table in report.tables}["kb_rooms"], 1)
        self.assertEqual(Path(self.source.url.path).read_bytes(), before)

    def test_unreachable(self) -> None:
        """A file that is no database cannot be used."""
        self.source.url.path.write_bytes(b"rubbish" * 1000)
        self.assertIn("not a database", str(self.assertRaises(MaintenanceError, check, self.source)))

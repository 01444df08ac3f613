"""A MariaDB of the tests' own, as a child of theirs, which they may stop, kill and pause."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import CLIENT, ER
from pymysql.cursors import Cursor

from tests.ports import HOST, free_port

#: Seconds that the server has to start or to stop; either takes a fraction of one on an idle machine.
PATIENCE = 30.0
LOOK_EVERY = 0.01
USER = "relay"
PASSWORD = "password"
#: Debian keeps mariadbd where only root looks.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
#: The log of a data folder takes most of the time that it takes to make one.
_SMALL = ("--innodb-log-file-size=4M",)
Rows: TypeAlias = "tuple[tuple[Any, ...], ...]"
Connection: TypeAlias = "pymysql.Connection[Cursor]"


def program(name: str) -> str:
    """Where a program of MariaDB is; raises FileNotFoundError, which says how to get it."""
    if path := shutil.which(name, path=_PATH):
        return path
    raise FileNotFoundError(f"there is no {name}: run `make mariadb`")


def quoted(name: str) -> str:
    """A name of a database as SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def connect(port: int, name: str | None = None, timeout: float | None = None) -> Connection:
    """A client's connection to this port, which commits each statement and waits so long for an answer."""
    return pymysql.connect(
        host=HOST,
        port=port,
        user=USER,
        password=PASSWORD,
        database=name,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=timeout or PATIENCE,
        read_timeout=timeout,
    )


def ask(port: int, statement: str = "SELECT 1", timeout: float | None = None) -> Any:
    """The first value of an answer; raises pymysql's OperationalError when there is none in time."""
    with closing(connect(port, timeout=timeout)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone() or (None,)
        return value


class MariaDB:
    """A server with a folder, a port of loopback and a socket of its own, made at its first start.

    Clients come in as `USER` with `PASSWORD`, who may do everything in the databases that were made here
    and nothing elsewhere; `execute` is the administrator's.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._options = options
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    # -- its life

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Make it answer, from whatever it was in; raises AssertionError with its log if it does not."""
        self.resume()
        if self._process is not None:
            return
        first = self._folder is None
        if self._folder is None:
            self._folder = self._installed()
        self._process = self._spawn(self._folder)
        self._wait(self._process)
        if first:
            self.execute(f"CREATE USER '{USER}'@'{HOST}' IDENTIFIED BY '{PASSWORD}'")

    def stop(self) -> None:
        """Shut it down as an administrator does, who waits until it is over."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start it, on the same port and with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Make it hang: the kernel goes on to accept connections, and nothing is ever answered."""
        assert self._process is not None, "it does not run"
        if not self._paused:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
            self._paused = True

    def resume(self) -> None:
        """Let it go on where it was paused, if it was."""
        if self._process is not None and self._paused:
            self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def close(self) -> None:
        """End it, and remove all it had."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    # -- its databases

    def url(self, name: str) -> str:
        """What a client is given to find this database."""
        return f"mysql://{USER}:{PASSWORD}@{HOST}:{self.port}/{name}"

    def create(self, name: str, sql_script: str | None = None) -> str:
        """Make a database, empty or as this script leaves it; the URL of it."""
        self.start()
        self.execute(f"CREATE DATABASE {quoted(name)} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        # In a GRANT an underscore stands for any character.
        granted = quoted(name.replace("_", r"\_"))
        self.execute(f"GRANT ALL PRIVILEGES ON {granted}.* TO '{USER}'@'{HOST}'")
        if sql_script is not None:
            self.execute(sql_script, name)
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is using it."""
        self.start()
        # It would wait for their transactions, for a day.
        self.disconnect(name)
        self.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def disconnect(self, name: str) -> int:
        """End all connections of clients to this database; how many there were."""
        listed = "SELECT id FROM information_schema.processlist WHERE db = %s AND user = %s"
        ended = 0
        for (number,) in self.execute(listed, None, (name, USER)):
            try:
                self.execute(f"KILL {number}")
            except pymysql.err.OperationalError as error:
                if error.args[0] != ER.NO_SUCH_THREAD:
                    raise
            else:
                ended += 1
        return ended

    def execute(
        self, script: str, database: str | None = None, values: tuple[object, ...] | None = None
    ) -> Rows:
        """Run one or several statements as the administrator; the rows of the last one."""
        with closing(self._administrator(database)) as connection, connection.cursor() as cursor:
            cursor.execute(script, values)
            rows = cursor.fetchall()
            while cursor.nextset():
                rows = cursor.fetchall()
            return rows

    def connect(self, name: str) -> Connection:
        """A client's connection to this database."""
        return connect(self.port, name)

    # -- within

    def _administrator(self, database: str | None = None) -> Connection:
        return pymysql.connect(
            unix_socket=str(self._file("socket")),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def _file(self, name: str) -> Path:
        assert self._folder is not None, "it was never started"
        return self._folder / name

    def _user(self) -> tuple[str, ...]:
        return ("--user=root",) if os.geteuid() == 0 else ()

    def _installed(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="relaytw-mariadb-"))
        done = subprocess.run(  # noqa: S603
            [
                program("mariadb-install-db"),
                "--no-defaults",
                *self._user(),
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                *_SMALL,
            ],
            env={**os.environ, "PATH": _PATH},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(folder)
            raise AssertionError(done.stdout.decode(errors="replace"))
        return folder

    def _spawn(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            [
                # It must not outlive tests that were killed.
                *("setpriv", "--pdeathsig", "KILL", "--"),
                program("mariadbd"),
                "--no-defaults",
                *self._user(),
                f"--datadir={folder / 'data'}",
                f"--socket={folder / 'socket'}",
                f"--pid-file={folder / 'pid'}",
                f"--log-error={folder / 'log'}",
                f"--tmpdir={folder}",
                f"--bind-address={HOST}",
                f"--port={self.port}",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci",
                *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self._administrator().close()
            except pymysql.err.OperationalError:
                time.sleep(LOOK_EVERY)
            else:
                return
        self.kill()
        log = self._file("log")
        raise AssertionError(log.read_text(errors="replace") if log.exists() else "MariaDB did not start")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self.resume()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

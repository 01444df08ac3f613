"""What a start asks of the database: that it is the one the relay works with, or can be made so."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from relaytw.store.connections import ConnectionSettings, Unreachable
from relaytw.store.database import Unfit
from relaytw.store.inspection import Found
from relaytw.store.judgement import layout_of
from relaytw.store.layout import Layout
from relaytw.store.opening import Busy, knock, make_file, opened
from relaytw.store.upgrade import NotUnderstood, StepFailed, not_understood, plan, upgrade, wanting
from relaytw.store.urls import DatabaseUrl, Engine

_log = Logger(namespace="relaytw.database")


class StartCheck:
    """Makes the tables of an empty database, and looks whether those of another one will do.

    With `auto_upgrade` it changes them where they lack something.  `now` gives seconds since the epoch.
    """

    def __init__(
        self, url: DatabaseUrl, settings: ConnectionSettings, *, auto_upgrade: bool, now: Callable[[], float]
    ) -> None:
        self._url = url
        self._settings = settings
        self._auto_upgrade = auto_upgrade
        self._now = now

    def __call__(self) -> Layout:
        """How the tables are laid out.  Blocks; raises Unreachable, and Unfit where they cannot be used."""
        knock(self._url, self._settings)
        if self._url.engine is Engine.SQLITE:
            self._make_file()
        with opened(self._url, self._settings, query_timeout=self._settings.query_timeout) as connection:
            looked = plan(connection)
        if looked.refusals:
            raise NotUnderstood(not_understood(self._url, looked.refusals))
        if looked.fit:
            return layout_of(looked.found)
        if not looked.found.fresh and not self._auto_upgrade:
            raise Unfit(wanting(self._url, looked.steps))
        return layout_of(self._changed(fresh=looked.found.fresh))

    def _make_file(self) -> None:
        try:
            make_file(self._url)
        except OSError as error:
            raise Unfit(
                f"the database {self._url} cannot be made ({error.strerror}); "
                "choose another folder with --state-dir or another file with database.url"
            ) from error

    def _changed(self, *, fresh: bool) -> Found:
        def progress(step: str) -> None:
            _log.info("{database}: {step}", database=str(self._url), step=step)

        def silent(_: str) -> None:
            pass

        try:
            found = upgrade(self._url, self._settings, self._now, silent if fresh else progress)
        except (Busy, StepFailed) as error:
            raise Unfit(f"the database {self._url} could not be made ready: {error}") from error
        if fresh:
            _log.info(
                "made {count} tables in the database {database}",
                count=len(found.tables), database=str(self._url),
            )  # fmt: skip
        return found


def first_check(check: StartCheck, url: DatabaseUrl) -> Layout | None:
    """The layout, or None where the database is away and the relay has to start without it.

    Raises Unfit.
    """
    try:
        return check()
    except Unreachable as error:
        if url.engine is Engine.SQLITE:
            raise Unfit(f"the database {url} cannot be used: {error}") from error
        _log.error(
            "the database {database} does not answer: {why}.  Starting without it: devices it does not know "
            "stay pending until it is back, nobody becomes approved, and rows wait",
            database=str(url), why=str(error),
        )  # fmt: skip
        return None

"""Keeps bots' settings in the database and in memory the same, whoever changes them.

Answers come from memory at all times.  The table is small and is read whole every few seconds, so
that what was written into it by hand is in force as soon as what came by the admin API; a bot that is
seen for the first time gets its row along with that.  While the database is away what was known last
holds, and nothing can be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from relaytw.errors import Unavailable
from relaytw.messages import SettingChange
from relaytw.services.live_settings import LiveSettings
from relaytw.settings import BotSettings, public_name
from relaytw.store.bot_settings import (
    NAME_CHARS,
    Row,
    TooManyBots,
    change,
    note,
    read_all,
    storable,
    understand,
)
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.statements import Transaction


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """Seconds between two looks at the table, and how many rows it may hold."""

    interval: float = 2.0
    most: int = 1000


class SettingsKeeper(Service):
    """Reads and writes the table of bots' settings.  `now` gives seconds since the epoch."""

    name = "bot settings"

    def __init__(
        self,
        database: Transactions,
        live: LiveSettings,
        clock: IReactorTime,
        now: Callable[[], float],
        settings: KeeperSettings,
    ) -> None:
        self._database = database
        self._live = live
        self._now = now
        self._settings = settings
        self._rows: dict[str, Row] = {}
        self._new: dict[str, None] = {}
        self._asked = 0
        self._newest = 0
        self._full = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._log = Logger(namespace="relaytw.settings")

    def startService(self) -> None:
        """Look at the table now, and again and again."""
        super().startService()
        self._loop.start(self._settings.interval).addErrback(
            lambda failure: self._log.failure("bots' settings are not looked at any more", failure)
        )

    def stopService(self) -> None:
        """Leave no timer behind; what a look finds that is under way is not applied."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def seen(self, bot: str) -> None:
        """Note a bot whose phone is approved or has signed: it gets a row if it has none."""
        if self._live.knows(bot) or bot in self._new or not storable(bot):
            return
        if len(self._live) + len(self._new) < self._settings.most:
            self._new[bot] = None
        elif not self._full:
            self._full = True
            self._log.warn(
                "{bot} has no settings of its own: there are {most} bots already (database.bot_rows)",
                bot=bot, most=self._settings.most,
            )  # fmt: skip

    async def reload(self, actor: str) -> list[SettingChange]:
        """Look at the table now, because somebody wants it; what has changed.  Raises Unavailable."""
        try:
            return await self._refresh(actor)
        except DatabaseAway as error:
            raise Unavailable(f"the settings cannot be read: the database is away ({error})") from error

    async def set_bot(
        self, bot: str, values: Mapping[str, object], actor: str, *, register: bool
    ) -> BotSettings | None:
        """Change these of a bot's settings, at once; the settings it has then.

        None if nobody knows the bot and it shall not be registered.  Raises ValueError with a sentence on
        every value that is not allowed, and Unavailable.
        """
        faults = replace(self._live.settings_of(bot), **values).faults()  # type: ignore[arg-type]
        if not storable(bot):
            faults["bot"] = f"must be 1 to {NAME_CHARS} characters without white space around them"
        if faults:
            raise ValueError("; ".join(f"{public_name(name)} {fault}" for name, fault in faults.items()))
        if not (register or self._live.knows(bot) or bot in self._new):
            if not self._newest:
                raise Unavailable("nothing was changed: the bots' settings could not be read yet")
            return None
        most, at_ms = self._settings.most, int(self._now() * 1000)
        try:
            row = await self._database.run(change, bot, values, actor, most, at_ms)
        except DatabaseAway as error:
            raise Unavailable(error.outcome) from error
        except TooManyBots as error:
            raise ValueError(f"there are {most} bots already (database.bot_rows)") from error
        finally:
            # What a look that began before this has read is not what the table holds now.
            self._newest = self._next()
        self._apply(row)
        return self._live.settings_of(bot)

    def _next(self) -> int:
        self._asked += 1
        return self._asked

    async def _look(self) -> None:
        try:
            await self._refresh(None)
        except DatabaseAway:
            return  # it is the database's to say; what is known holds
        except Exception:
            self._log.failure("bots' settings could not be read")

    async def _refresh(self, actor: str | None) -> list[SettingChange]:
        new, number = list(self._new), self._next()
        at_ms = int(self._now() * 1000)
        rows = await self._database.run(_read, new, self._settings.most, at_ms, actor)
        if not self.running or number < self._newest:
            return []
        self._newest = number
        for bot in new:
            self._new.pop(bot, None)
        changes: list[SettingChange] = []
        for bot in self._rows.keys() - {str(row[0]) for row in rows}:
            del self._rows[bot]
            self._log.info("{bot} has the usual settings again: its row is gone", bot=bot)
            old = self._live.settings_of(bot)
            self._live.forget(bot)
            changes += differences(old, BotSettings(bot))
        for row in rows:
            if self._rows.get(row[0]) != row:
                changes += self._apply(row)
        return changes

    def _apply(self, row: Row) -> list[SettingChange]:
        settings, faults = understand(row)
        bot = settings.bot
        known = self._live.knows(bot)
        old = self._live.settings_of(bot)
        self._rows[bot] = row
        for name, fault in faults.items():
            self._log.warn(
                "{name} of {bot} in relaytw_bots cannot be used: it {fault}; it counts as {value}",
                name=public_name(name), bot=bot, fault=fault, value=shown(getattr(settings, name)),
            )  # fmt: skip
        changes = differences(old, settings)
        if changes or not known:
            told = ", ".join(f"{one.name} {one.before} -> {one.after}" for one in changes)
            self._log.info("settings of {bot}: {changes}", bot=bot, changes=told or "as usual")
        self._live.put(settings)
        return changes


def _read(
    transaction: Transaction, new: Sequence[str], most: int, at_ms: int, actor: str | None
) -> list[Row]:
    if actor is not None:
        note(transaction, actor, "reload bots", None, None, at_ms)
    return read_all(transaction, new, most, at_ms)


def differences(old: BotSettings, new: BotSettings) -> list[SettingChange]:
    """What of a bot's settings has changed, as people read it."""
    names = [field.name for field in fields(BotSettings) if field.name != "bot"]
    return [
        SettingChange(new.bot, public_name(name), shown(getattr(old, name)), shown(getattr(new, name)))
        for name in names
        if getattr(old, name) != getattr(new, name)
    ]


def shown(value: object) -> str:
    """A value as people read it; of admins only their number, for it is read in chats and logs."""
    if value is None:
        return "default"
    if isinstance(value, frozenset):
        return str(len(value))
    return str(value).lower() if isinstance(value, bool) else str(value)

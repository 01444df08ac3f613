"""The settings that are in force: asked for with every message, applied to what is live when they change."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from relaytw.bots.router import Router
from relaytw.gate import Room
from relaytw.lanes import LaneKey
from relaytw.messages import ClientKey
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.services.dispatcher import Dispatcher
from relaytw.services.roster import Roster
from relaytw.settings import USUAL_ROOM, BotSettings

#: For how many bots without settings of their own the usual ones are kept at hand.
REMEMBERED = 1_000


class LiveSettings:
    """Every bot's settings, in memory; whoever puts new ones here has them applied by `changed`."""

    def __init__(self) -> None:
        self.changed: Callable[[BotSettings, BotSettings], None] = lambda _old, _new: None
        self._known: dict[str, BotSettings] = {}
        self._usual: dict[str, BotSettings] = {}
        self._rooms: WeakValueDictionary[LaneKey, Room] = WeakValueDictionary()

    def __len__(self) -> int:
        """How many bots have settings of their own."""
        return len(self._known)

    def settings_of(self, bot: str) -> BotSettings:
        """The settings of the bot of this name; the usual ones if it is not known."""
        return self._known.get(bot) or self._usual.get(bot) or self._remember(bot)

    def limit_of(self, bot: str) -> int | None:
        """How many messages of a bot run at a time; None: as usual."""
        known = self._known.get(bot)
        return known.per_bot if known is not None else None

    def width_of(self, key: LaneKey) -> int | None:
        """How many messages of a room run at a time, by its own settings or its bot's; None: as usual."""
        bot = self._known.get(key.bot)
        if self._rooms and (room := self._rooms.get(key)) is not None:
            return room.settings.width(bot or self.settings_of(key.bot))
        return bot.per_room if bot is not None else None

    def note(self, room: Room) -> LaneKey:
        """Know a room's settings for as long as somebody keeps the room; the key of its lane."""
        key = LaneKey(*room.client, room.room_id)
        if room.settings == USUAL_ROOM:
            self._rooms.pop(key, None)
        else:
            self._rooms[key] = room
        return key

    def knows(self, bot: str) -> bool:
        """Does this bot have settings of its own?"""
        return bot in self._known

    def everyone(self) -> list[BotSettings]:
        """Everybody's settings, by name."""
        return sorted(self._known.values(), key=lambda settings: settings.bot)

    def put(self, settings: BotSettings) -> bool:
        """Let a bot's settings be these from now on; were they any others before?"""
        old = self.settings_of(settings.bot)
        self._known[settings.bot] = settings
        return self._apply(old, settings)

    def forget(self, bot: str) -> bool:
        """Let a bot have the usual settings from now on; were they any others before?"""
        old = self.settings_of(bot)
        self._known.pop(bot, None)
        return self._apply(old, BotSettings(bot))

    def _remember(self, bot: str) -> BotSettings:
        # To make them anew for every message would cost more than all else that is asked here.
        if len(self._usual) >= REMEMBERED:
            self._usual.clear()
        settings = self._usual[bot] = BotSettings(bot)
        return settings

    def _apply(self, old: BotSettings, new: BotSettings) -> bool:
        if old == new:
            return False
        self.changed(old, new)
        return True


class Applier:
    """Makes changed settings felt: by lanes that are busy, messages that wait, connections that are open."""

    def __init__(
        self,
        settings: LiveSettings,
        *,
        router: Router,
        dispatcher: Dispatcher,
        roster: Roster,
        outbox: Outbox,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._router = router
        self._dispatcher = dispatcher
        self._roster = roster
        self._metrics = metrics

    def withdrawn(self, client: ClientKey, room_id: str | None) -> None:
        """An approval was taken back: nothing that waits is run or told; what runs is not answered."""
        bot, device = client
        waiting = [
            key
            for key, _, _ in self._dispatcher.lanes.snapshot()
            if (key.bot, key.device) == (bot, device) and room_id in (None, key.room)
        ]
        self._dispatcher.questions.end_of(client, room_id)
        dropped = sum(map(self._dispatcher.drop, waiting))
        if room_id is None:
            self._metrics.restricted += dropped
        else:
            self._metrics.room_refused += dropped
        self._outbox.discard(client, room_id)
        self._dispatcher.pump()

    def bot_changed(self, old: BotSettings, new: BotSettings) -> None:
        """Apply a bot's new settings; what runs goes on, what waits for a bot now paused is not run."""
        bot, lanes = new.bot, self._dispatcher.lanes
        if old.prefix != new.prefix:
            self._router.forget(bot)
        if old.per_bot != new.per_bot:
            lanes.resize_bot(bot, new.per_bot)
        if old.per_room != new.per_room:
            lanes.resize_rooms_of(bot)
        if old.line_bytes != new.line_bytes:
            self._roster.settings_changed(bot)
        if new.paused and not old.paused:
            self._dispatcher.questions.end_of_bot(bot)
            keys = [key for key, _, _ in lanes.snapshot() if key.bot == bot]
            self._metrics.paused += sum(map(self._dispatcher.drop, keys))
        self._dispatcher.pump()

    def room_changed(self, room: Room) -> None:
        """Apply the settings that a room has got; what waits in a room now muted is not run.

        To be called for a room with settings of its own when it becomes known, and at every change.
        """
        key, lanes = self._settings.note(room), self._dispatcher.lanes
        lanes.resize_room(key, self._settings.width_of(key))
        if room.settings.muted:
            self._dispatcher.questions.end_of(room.client, room.room_id)
            self._metrics.muted += self._dispatcher.drop(key)
        self._dispatcher.pump()

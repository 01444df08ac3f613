"""Who may talk: lists of devices and rooms, and a verb for each status they can be given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import click

from relaytw.admin.shapes import Device, Room, RoomChange
from relaytw.cli.bots import number, policy, read_settings, yes_or_no
from relaytw.cli.client import admin_client
from relaytw.cli.push import tag
from relaytw.cli.tables import ago, clean, json_option, print_json_pages, print_table
from relaytw.cli.target import Options
from relaytw.codes import read_code
from relaytw.messages import Status
from relaytw.pins import is_sealed

#: Seconds between two looks with --watch.
_WATCH = 2.0

_VERBS = {
    "approve": Status.APPROVED,
    "deny": Status.DENIED,
    "block": Status.BLOCKED,
    "pending": Status.PENDING,
    "revoke": Status.REVOKED,
}
_MEANING = {
    Status.APPROVED: "Let it talk.",
    Status.DENIED: "Turn it away.",
    Status.BLOCKED: "Turn it away for good.",
    Status.PENDING: "Put it back to where new ones wait.",
    Status.REVOKED: "Take its approval back.",
}

_status_option = click.option(
    "--status", type=click.Choice([status.value for status in Status]), help="Only those of this status."
)
_watch_option = click.option("--watch", is_flag=True, help="Look again every 2 seconds until interrupted.")
_reason_option = click.option("--reason", help="Why; a phone that is turned away is told.")

Seen = set[Hashable]
Show = Callable[[Options, "str | None", Seen], None]


@click.group()
def devices() -> None:
    """List devices and say which of them may talk."""


@devices.command("list")
@_status_option
@_watch_option
@json_option
@click.pass_obj
def list_devices(options: Options, status: str | None, watch: bool, as_json: bool) -> None:
    """List the devices the relay knows."""
    if as_json and not watch:
        print_json_pages(admin_client(options).devices(status))
    else:
        _list(options, status, _show_devices, watch=watch, as_json=as_json)


@click.group()
def rooms() -> None:
    """List rooms and say which of them may talk."""


@rooms.command("list")
@_status_option
@_watch_option
@json_option
@click.pass_obj
def list_rooms(options: Options, status: str | None, watch: bool, as_json: bool) -> None:
    """List the rooms the relay knows."""
    if as_json and not watch:
        print_json_pages(admin_client(options).rooms(status))
    else:
        _list(options, status, _show_rooms, watch=watch, as_json=as_json)


def _list(options: Options, status: str | None, show: Show, *, watch: bool, as_json: bool) -> None:
    if watch and as_json:
        raise click.UsageError("--watch and --json do not go together")
    seen: Seen = set()
    if not watch:
        show(options, status, seen)
        return
    try:
        while True:
            click.clear()
            show(options, status, seen)
            options.outside.sleep(_WATCH)
    except KeyboardInterrupt:
        return


def _show_devices(options: Options, status: str | None, seen: Seen) -> None:
    columns = ("BOT", "DEVICE", "STATUS", "CODE", "ADDRESS", "SCRIPT", "PINNED", "CHANGED")
    now = options.outside.now()

    def row(device: Device) -> tuple[object, ...]:
        pinned = "no" if device.device_uuid is None else "4.0" if is_sealed(device.device_uuid) else "yes"
        return (
            device.bot, device.device, _told(device), device.code, device.address, device.version, pinned,
            ago(device.updated_at, now),
        )  # fmt: skip

    count, waiting = _show(columns, admin_client(options).devices(status), row, seen)
    if not count:
        click.echo("No such device is known.  A device becomes known when its phone connects.")
    if waiting:
        click.echo("\nA pending device gets no replies; let it talk with: relayctl devices approve CODE")


def _show_rooms(options: Options, status: str | None, seen: Seen) -> None:
    columns = ("BOT", "DEVICE", "ROOM_ID", "NAME", "STATUS", "SETTINGS", "CODE", "CHANGED")
    now = options.outside.now()

    def row(room: Room) -> tuple[object, ...]:
        changed = ago(room.updated_at, now)
        return (
            room.bot, room.device, room.room_id, room.name, _told(room), _settings(room), room.code, changed,
        )  # fmt: skip

    count, waiting = _show(columns, admin_client(options).rooms(status), row, seen)
    if not count:
        click.echo("No such room is known.  A room becomes known by its first message.")
    if waiting:
        click.echo("\nA pending room is not answered; let it talk with: relayctl rooms approve CODE")


def _show(
    columns: Sequence[str],
    pages: Iterable[Sequence[Any]],
    row: Callable[[Any], tuple[object, ...]],
    seen: Seen,
) -> tuple[int, bool]:
    """Print page by page, marking those that wait and were not there at the last look."""
    count, waiting, first = 0, False, not seen
    for page in pages:
        marked = []
        for place, item in enumerate(page):
            if item.status is Status.PENDING:
                waiting = True
                key = (item.bot, item.device, getattr(item, "room_id", None))
                if key not in seen and not first:
                    marked.append(place)
                seen.add(key)
        if page:
            print_table(columns, [row(item) for item in page], marked)
        count += len(page)
    seen.add(None)
    return count, waiting


def _told(item: Device | Room) -> str:
    """The status, with the word in the table where that is another one."""
    if not item.saved:
        return f"{item.status.value} (not saved)"
    return item.status.value if item.word in (None, item.status) else f"{item.status.value} ({item.word!r})"


def _device_named(options: Options, names: Sequence[str]) -> tuple[str, str]:
    if len(names) == 1:
        found = [item for page in admin_client(options).devices(code=_code(names[0])) for item in page]
        (device,) = _only(found, names[0], lambda item: f"{item.bot} {item.device}")
        return device.bot, device.device
    if len(names) != 2:  # noqa: PLR2004 (bot and device)
        raise click.UsageError("name it by its CODE, or by BOT and DEVICE")
    return names[0], names[1]


def _room_named(options: Options, names: Sequence[str]) -> tuple[str, str, str]:
    if len(names) == 1:
        found = [item for page in admin_client(options).rooms(code=_code(names[0])) for item in page]
        (room,) = _only(found, names[0], lambda item: f"{item.bot} {item.device} {item.room_id}")
        return room.bot, room.device, room.room_id
    if len(names) != 3:  # noqa: PLR2004 (bot, device and room)
        raise click.UsageError("name it by its CODE, or by BOT, DEVICE and ROOM_ID")
    return names[0], names[1], names[2]


def _code(text: str) -> str:
    code = read_code(text)
    if code is None:
        raise click.UsageError(f"{text} is no code; name it by its CODE, or in full")
    return code


def _only(found: Sequence[Any], code: str, name: Callable[[Any], str]) -> Sequence[Any]:
    if not found:
        raise click.ClickException(f"nothing waits under the code {clean(code)}")
    if len(found) > 1:
        names = "\n".join(f"  {clean(name(item))}" for item in found)
        raise click.ClickException(f"{clean(code)} may mean each of these; name it in full:\n{names}")
    return found


def _device_verb(verb: str, status: Status) -> Callable[..., None]:
    def change(options: Options, names: tuple[str, ...], reason: str | None = None) -> None:
        bot, device = _device_named(options, names)
        admin_client(options).set_device(bot, device, status, reason=reason)
        click.echo(f"{clean(bot)}@{clean(device)} is {status.value}.")

    return devices.command(verb, help=_MEANING[status])(_takes_names("BOT DEVICE | CODE", status, change))


@devices.command("allow-old")
@click.argument("bot")
@click.argument("device")
@click.pass_obj
def allow_old(options: Options, bot: str, device: str) -> None:
    """Let an approved device speak 3.2 and 3.3 again.

    Who has once proven itself in dialect 4.0 is not believed in an older one.  This takes its pin away, as
    approving it anew does; its next proof in whichever dialect pins it again.
    """
    client = admin_client(options)
    known = (item for page in client.devices(Status.APPROVED) for item in page)
    if not any((item.bot, item.device) == (bot, device) for item in known):
        raise click.ClickException(f"{clean(bot)}@{clean(device)} is not an approved device")
    client.set_device(bot, device, Status.APPROVED)
    click.echo(f"{clean(bot)}@{clean(device)} may speak any dialect until it next proves itself in 4.0.")


def _room_verb(verb: str, status: Status) -> Callable[..., None]:
    def change(options: Options, names: tuple[str, ...], reason: str | None = None) -> None:
        bot, device, room_id = _room_named(options, names)
        admin_client(options).set_room(bot, device, room_id, status, reason=reason)
        click.echo(f"{clean(room_id)} of {clean(bot)}@{clean(device)} is {status.value}.")

    return rooms.command(verb, help=_MEANING[status])(
        _takes_names("BOT DEVICE ROOM_ID | CODE", status, change)
    )


_KINDS: dict[str, Callable[[str], Any]] = {
    "per_room": number,
    "ordered": yes_or_no,
    "muted": yes_or_no,
    "chat_log": policy,
    "retention_days": number,
}


@rooms.command("set", epilog=f"KEYS: {', '.join(_KINDS)}")
@click.argument("names", nargs=-1, required=True, metavar="BOT DEVICE ROOM_ID | CODE  KEY=VALUE...")
@click.option("--new", is_flag=True, help="The room may be one that was never heard of.")
@click.pass_obj
def set_room(options: Options, names: tuple[str, ...], new: bool) -> None:
    """Change settings of a room; the value "default" is what its bot or the configuration says.

    An ordered room runs one message at a time.  per_room is how many others run.
    """
    given = list(names)
    settings: list[str] = []
    while given and given[-1].partition("=")[0] in _KINDS and "=" in given[-1]:
        settings.insert(0, given.pop())
    if not settings:
        raise click.UsageError(f"give at least one KEY=VALUE with a KEY out of: {', '.join(_KINDS)}")
    values = read_settings(settings, _KINDS)
    bot, device, room_id = _room_named(options, given)
    admin_client(options).set_room_settings(RoomChange(bot, device, room_id, **values, register=new))
    told = ", ".join(map(clean, settings))
    click.echo(f"{clean(room_id)} of {clean(bot)}@{clean(device)}: {told}")


rooms.add_command(tag)


def _mute_verb(verb: str, meaning: str, *, muted: bool) -> Callable[..., None]:
    def change(options: Options, names: tuple[str, ...]) -> None:
        bot, device, room_id = _room_named(options, names)
        admin_client(options).set_room_settings(RoomChange(bot, device, room_id, muted=muted))
        click.echo(f"{clean(room_id)} of {clean(bot)}@{clean(device)} is {verb}d.")

    argument = click.argument("names", nargs=-1, required=True, metavar="BOT DEVICE ROOM_ID | CODE")
    return rooms.command(verb, help=meaning)(argument(click.pass_obj(change)))


_mute_verb("mute", "Take messages of a room in, but run none of them.", muted=True)
_mute_verb("unmute", "Run the messages of a room again, from the next one on.", muted=False)


def _settings(room: Room) -> str:
    """What of a room is not the usual."""
    told = [
        "muted" if room.muted else "",
        "ordered" if room.ordered else "",
        f"{room.per_room} at a time" if room.per_room is not None else "",
        f"logs {room.chat_log}" if room.chat_log is not None else "",
        f"keeps {room.retention_days} d" if room.retention_days is not None else "",
    ]
    return ", ".join(filter(None, told)) or "-"


def _takes_names(shown: str, status: Status, change: Callable[..., None]) -> Callable[..., None]:
    command = click.argument("names", nargs=-1, required=True, metavar=shown)(click.pass_obj(change))
    return _reason_option(command) if status.refused else command


for _verb, _status in _VERBS.items():
    _device_verb(_verb, _status)
    _room_verb(_verb, _status)

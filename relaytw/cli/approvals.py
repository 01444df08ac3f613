"""Who may talk: lists of devices and rooms, and a verb for each status they can be given."""

from __future__ import annotations

from collections.abc import Callable

import click

from relaytw.admin.shapes import Device
from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table
from relaytw.cli.target import Options
from relaytw.messages import Status

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


@click.group()
def devices() -> None:
    """List devices and say which of them may talk."""


@devices.command("list")
@_status_option
@click.option("--watch", is_flag=True, help="Look again every 2 seconds until interrupted.")
@json_option
@click.pass_obj
def list_devices(options: Options, status: str | None, watch: bool, as_json: bool) -> None:
    """List the devices the relay knows."""
    if watch and as_json:
        raise click.UsageError("--watch and --json do not go together")
    if not watch:
        _show_devices(options, status, as_json=as_json)
        return
    try:
        while True:
            click.clear()
            _show_devices(options, status, as_json=False)
            options.outside.sleep(_WATCH)
    except KeyboardInterrupt:
        return


@click.group()
def rooms() -> None:
    """List rooms and say which of them may talk."""


@rooms.command("list")
@_status_option
@json_option
@click.pass_obj
def list_rooms(options: Options, status: str | None, as_json: bool) -> None:
    """List the rooms the relay knows."""
    shown = [room for room in admin_client(options).rooms() if status in (None, room.status)]
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No such room is known.  A room becomes known by its first message.")
    else:
        now = options.outside.now()
        rows = [
            (room.bot, room.device, room.room_id, room.name, room.status, ago(room.updated_at, now))
            for room in shown
        ]
        print_table(("BOT", "DEVICE", "ROOM_ID", "NAME", "STATUS", "CHANGED"), rows)


def _show_devices(options: Options, status: str | None, *, as_json: bool) -> None:
    shown = [device for device in admin_client(options).devices() if status in (None, device.status)]
    if as_json:
        print_json(shown)
        return
    if not shown:
        click.echo("No such device is known.  A device becomes known when its phone connects.")
        return
    now = options.outside.now()
    print_table(
        ("BOT", "DEVICE", "STATUS", "ADDRESS", "SCRIPT", "PINNED", "CHANGED"),
        [_device_row(device, now) for device in shown],
    )
    if any(device.status is Status.PENDING for device in shown):
        click.echo(
            "\nA pending device gets no replies; let it talk with: relayctl devices approve BOT DEVICE"
        )


def _device_row(device: Device, now: float) -> tuple[object, ...]:
    pinned = "no" if device.device_uuid is None else "yes"
    changed = ago(device.updated_at, now)
    return device.bot, device.device, device.status, device.address, device.version, pinned, changed


def _device_verb(verb: str, status: Status) -> Callable[..., None]:
    @devices.command(verb, help=_MEANING[status])
    @click.argument("bot")
    @click.argument("device")
    @click.pass_obj
    def change(options: Options, bot: str, device: str) -> None:
        admin_client(options).set_device(bot, device, status)
        click.echo(f"{clean(bot)}@{clean(device)} is {status.value}.")

    return change


def _room_verb(verb: str, status: Status) -> Callable[..., None]:
    @rooms.command(verb, help=_MEANING[status])
    @click.argument("bot")
    @click.argument("device")
    @click.argument("room_id")
    @click.pass_obj
    def change(options: Options, bot: str, device: str, room_id: str) -> None:
        admin_client(options).set_room(bot, device, room_id, status)
        click.echo(f"{clean(room_id)} of {clean(bot)}@{clean(device)} is {status.value}.")

    return change


for _verb, _status in _VERBS.items():
    _device_verb(_verb, _status)
    if _status is not Status.REVOKED:
        _room_verb(_verb, _status)

"""Have something said without a question: in one room, or in many."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from relaytw.admin.pushing import (
    Broadcast,
    BroadcastBody,
    MediaBody,
    Named,
    Preview,
    Push,
    PushBody,
    RoomNamed,
    RoomOutcome,
    RoomTagged,
    RoomTags,
)
from relaytw.admin.shapes import Listing
from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table, span
from relaytw.cli.target import Options

_PATH = "/api/v1/broadcasts"
#: Seconds between two looks at what becomes of a push.
_LOOK = 0.5
_media_option = click.option(
    "--media", multiple=True, help="A picture after the text: a URL, or a file (may be given several times)."
)


@click.command()
@click.argument("text", required=False)
@click.option("--room", help="The room by its name; --bot says whose.")
@click.option("--room-id", help="The room by its id.")
@click.option("--bot", help="The bot.")
@click.option("--device", help="The device, where several have such a room.")
@click.option("--at", "when", help="When, such as 2026-01-31T09:00.  [default: now]")
@click.option("--key", help="Sent again under this key it is said once.")
@click.option("--wait", type=float, default=0.0, help="Seconds to wait for what becomes of it.")
@_media_option
@json_option
@click.pass_obj
def push(
    options: Options, /, text: str | None, media: tuple[str, ...], wait: float, as_json: bool, **where: Any
) -> None:
    """Say TEXT in a room, now or later."""
    client = admin_client(options)
    body = PushBody(
        text=text, media=_media(media), room=where["room"], room_id=where["room_id"], bot=where["bot"],
        device=where["device"], when=where["when"], idempotency_key=where["key"],
    )  # fmt: skip
    kept = client.post("/api/v1/messages", body, Push)
    until = options.outside.now() + wait
    while kept.done_at is None and options.outside.now() < until:
        options.outside.sleep(_LOOK)
        kept = client.fetch(f"/api/v1/messages/{kept.id}", Push)
    if as_json:
        print_json(kept)
        return
    for room in kept.rooms:
        click.echo(f"{kept.id}: {_told(room)}")


@click.group()
def broadcast() -> None:
    """Say something in many rooms, those of each phone one after the other."""


@broadcast.command()
@click.argument("text", required=False)
@click.option("--bot", help="In every room of this bot (with --tag: in those that bear it).")
@click.option("--tag", help="In the rooms that bear this tag.")
@click.option("--room-id", "room_ids", multiple=True, help="In this room (may be given several times).")
@click.option("--per-minute", type=float, help="At most so many rooms of a phone.")
@click.option("--key", help="Sent again under this key it is said once.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@_media_option
@click.pass_obj
def start(
    options: Options,
    /,
    text: str | None,
    media: tuple[str, ...],
    room_ids: tuple[str, ...],
    yes: bool,
    **about: Any,
) -> None:
    """Say TEXT everywhere, after showing where and how long it takes."""
    client = admin_client(options)
    body = BroadcastBody(
        text=text, media=_media(media), bot=about["bot"] if not room_ids else None, tag=about["tag"],
        rooms=[RoomNamed(room_id=room, bot=about["bot"]) for room in room_ids],
        per_minute=about["per_minute"], idempotency_key=about["key"],
    )  # fmt: skip
    preview = client.post(f"{_PATH}/preview", body, Preview)
    click.echo(f"{preview.count} rooms, {span(preview.seconds)}:", err=True)
    for room in preview.rooms[:20]:
        click.echo(
            f"  {clean(room.room)} ({clean(room.room_id)}) of {clean(room.bot)}@{clean(room.device)}",
            err=True,
        )
    if preview.count > 20:  # noqa: PLR2004 (as many as are shown)
        click.echo(f"  and {preview.count - 20} more", err=True)
    for why in preview.left_out:
        click.echo(f"left out: {clean(why)}", err=True)
    if not yes:
        click.confirm("Say it there?", abort=True, err=True)
    click.echo(client.post(_PATH, body, Broadcast).id)


@broadcast.command("list")
@json_option
@click.pass_obj
def list_broadcasts(options: Options, as_json: bool) -> None:
    """List the newest broadcasts."""
    shown = admin_client(options).fetch(_PATH, Listing[Broadcast]).items
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("There was no broadcast.")
    else:
        print_table(("ID", "STATE", "ROOMS", "OUTCOMES", "TARGET"), [_row(one) for one in shown])


@broadcast.command()
@click.argument("name", metavar="ID")
@json_option
@click.pass_obj
def show(options: Options, name: str, as_json: bool) -> None:
    """Show how far a broadcast has come, room by room."""
    client = admin_client(options)
    shown = client.fetch(f"{_PATH}/{_safe(name)}", Broadcast)
    rooms = client.fetch(f"{_PATH}/{_safe(name)}/rooms", Listing[RoomOutcome]).items
    if as_json:
        print_json({"broadcast": shown, "rooms": rooms})
        return
    print_table(("ID", "STATE", "ROOMS", "OUTCOMES", "TARGET"), [_row(shown)])
    rows = [(room.room, room.bot, room.device, room.outcome, room.why or "-") for room in rooms]
    print_table(("ROOM", "BOT", "DEVICE", "OUTCOME", "WHY"), rows)


def _verb(verb: str, meaning: str) -> None:
    def change(options: Options, name: str) -> None:
        shown = admin_client(options).post(f"{_PATH}/{verb}", Named(name), Broadcast)
        click.echo(f"{clean(shown.id)} is {shown.state}: {_outcomes(shown)}")

    broadcast.command(verb, help=meaning)(click.argument("name", metavar="ID")(click.pass_obj(change)))


_verb("pause", "Tell no more rooms for now.")
_verb("resume", "Go on with the rooms that are left.")
_verb("cancel", "Tell no more rooms for ever.")


@click.command()
@click.argument("bot")
@click.argument("device")
@click.argument("room_id")
@click.argument("tags", nargs=-1)
@click.option("--remove", multiple=True, help="Take this tag away (may be given several times).")
@click.pass_obj
def tag(
    options: Options, bot: str, device: str, room_id: str, tags: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    """Give a room TAGS for broadcasts; without any, show which it has."""
    wanted = RoomTags(bot, device, room_id, list(tags), list(remove))
    shown = admin_client(options).post("/api/v1/rooms/tags", wanted, RoomTagged)
    click.echo(
        f"{clean(room_id)} of {clean(bot)}@{clean(device)}: {clean(' '.join(shown.tags)) or 'no tags'}"
    )


def _media(given: tuple[str, ...]) -> list[MediaBody]:
    found = []
    for one in given:
        if one.startswith(("http://", "https://")):
            found.append(MediaBody(urls=[one]))
            continue
        path = Path(one)
        try:
            content = b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise click.ClickException(f"{one} cannot be read: {error}") from error
        found.append(MediaBody(base64=[content], format=path.suffix[1:].lower() or "jpg"))
    return found


def _told(room: RoomOutcome) -> str:
    why = f" ({clean(room.why)})" if room.why else ""
    return f"{room.outcome}{why}: {clean(room.room)} of {clean(room.bot)}@{clean(room.device)}"


def _row(one: Broadcast) -> tuple[object, ...]:
    return one.id, one.state, one.rooms, _outcomes(one), one.target


def _outcomes(one: Broadcast) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(one.outcomes.items()))


def _safe(name: str) -> str:
    return quote(name, safe="")

"""Schedules: list them, make them, let them rest, run them out of turn, look at what became of them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from relaytw.admin.scheduling import NewSchedule, Schedule, ScheduleId, ScheduleRun
from relaytw.admin.shapes import Listing
from relaytw.cli.client import AdminClient, admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table
from relaytw.cli.target import Options

_PATH = "/api/v1/schedules"
_DONE = {"pause": "rests", "resume": "goes on", "delete": "is deleted", "run-now": "was run"}


@click.group()
def schedule() -> None:
    """What is said again and again, or at a certain time."""


@schedule.command("list")
@json_option
@click.pass_obj
def list_schedules(options: Options, as_json: bool) -> None:
    """List the schedules, those of the back office too."""
    shown = _all(admin_client(options))
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("There is no schedule.  Make one with: relayctl schedule add")
    else:
        rows = [
            (one.id, one.title, one.status, one.bot, one.room_id, one.when, one.next_at, one.count, one.error)
            for one in shown
        ]
        print_table(("ID", "TITLE", "STATUS", "BOT", "ROOM_ID", "WHEN", "NEXT", "RUNS", "ERROR"), rows)


@schedule.command()
@click.argument("text", required=False)
@click.option("--title", required=True, help="What it is called.")
@click.option("--bot", required=True, help="The bot.")
@click.option("--room-id", required=True, help="The room.")
@click.option("--device", help="The device.  [default: the one that has the room]")
@click.option("--once", help="On this day, such as 2026-01-31.")
@click.option("--weekly", help="On these days, such as monday,friday.  [default: every day]")
@click.option(
    "--at", "times", multiple=True, required=True, help="At this time (may be given several times)."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A picture after the text (may be given several times).",
)
@click.option("--from", "valid_from", help="Not before, such as '2026-01-01 00:00:00'.")
@click.option("--until", "valid_until", help="Not after.")
@click.pass_obj
def add(options: Options, /, text: str | None, once: str | None, weekly: str | None, **about: Any) -> None:
    """Make a schedule that says TEXT; times are those of the relay's zone."""
    if once and weekly:
        raise click.UsageError("--once and --weekly do not go together")
    wanted = NewSchedule(
        title=about["title"], bot=about["bot"], room_id=about["room_id"], device=about["device"], text=text,
        every="once" if once else "weekly" if weekly else "daily", date=once, times=list(about["times"]),
        weekdays=[day.strip() for day in weekly.split(",")] if weekly else [],
        images_1=[b64encode(path.read_bytes()).decode() for path in about["images"]],
        valid_from=about["valid_from"], valid_until=about["valid_until"],
    )  # fmt: skip
    made = admin_client(options).post(_PATH, wanted, Schedule)
    click.echo(f"Schedule {made.id} is due next at {made.next_at}.")


def _verb(verb: str, meaning: str) -> None:
    def change(options: Options, number: int) -> None:
        shown = admin_client(options).post(f"{_PATH}/{verb}", ScheduleId(number), Schedule)
        due = f"; it is due next at {shown.next_at}" if verb == "resume" else ""
        click.echo(f"Schedule {shown.id} ({clean(shown.title)}) {_DONE[verb]}{due}.")

    schedule.command(verb, help=meaning)(
        click.argument("number", type=int, metavar="ID")(click.pass_obj(change))
    )


_verb("pause", "Let a schedule rest.")
_verb("resume", "Let a schedule go on, from its next time on.")
_verb("delete", "Delete a schedule.")
_verb("run-now", "Run a schedule once, now.")


@schedule.command()
@click.argument("number", type=int, metavar="ID")
@json_option
@click.pass_obj
def log(options: Options, number: int, as_json: bool) -> None:
    """Show the newest runs of a schedule and what has become of them."""
    shown = (
        admin_client(options).fetch(f"{_PATH}/log?{urlencode({'id': number})}", Listing[ScheduleRun]).items
    )
    if as_json:
        print_json(shown)
        return
    rows = [(run.scheduled_at, run.components, run.status, run.outcome, run.error) for run in shown]
    print_table(("DUE", "WHAT", "STATUS", "OUTCOME", "WHY"), rows)


def _all(client: AdminClient) -> list[Schedule]:
    found: list[Schedule] = []
    after: str | None = None
    while True:
        query = {"limit": "1000", **({"after": after} if after is not None else {})}
        page = client.fetch(f"{_PATH}?{urlencode(query)}", Listing[Schedule])
        found += page.items
        if (after := page.next) is None:
            return found

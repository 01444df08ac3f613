"""What operators did, and what was changed in the database without the relay."""

from __future__ import annotations

from itertools import chain, islice

import click

from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, json_option, print_json, print_table
from relaytw.cli.target import Options


@click.command()
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, at most.")
@click.pass_obj
def audit(options: Options, limit: int, as_json: bool) -> None:
    """List who did what, newest first."""
    shown = list(islice(chain.from_iterable(admin_client(options).audit()), limit))
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("Nobody has done anything yet.")
    else:
        now = options.outside.now()
        rows = [
            (ago(act.at, now), act.actor, act.act, act.bot, act.device, act.room_id, act.detail)
            for act in shown
        ]
        print_table(("WHEN", "WHO", "WHAT", "BOT", "DEVICE", "ROOM_ID", "DETAIL"), rows)

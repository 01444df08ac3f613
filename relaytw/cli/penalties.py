"""The penalty box: who is in it, and letting them out."""

from __future__ import annotations

import click

from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table, span
from relaytw.cli.target import Options


@click.group()
def penalties() -> None:
    """List who is in the penalty box and let them out."""


@penalties.command("list")
@json_option
@click.pass_obj
def list_penalties(options: Options, as_json: bool) -> None:
    """List who is in the penalty box, why, and for how long."""
    shown = admin_client(options).penalties()
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("Nobody is in the penalty box.")
    else:
        now = options.outside.now()
        rows = [(row.bot, row.device, span(row.until - now), row.times, row.why) for row in shown]
        print_table(("BOT", "DEVICE", "LEFT", "TIMES", "WHY"), rows)


@penalties.command()
@click.argument("bot")
@click.argument("device")
@click.pass_obj
def lift(options: Options, bot: str, device: str) -> None:
    """Let DEVICE of BOT out of the penalty box."""
    admin_client(options).lift_penalty(bot, device)
    click.echo(f"{clean(bot)}@{clean(device)} is out of the penalty box.")

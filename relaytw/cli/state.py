"""What bots remember: whose it is and how much; forgetting it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from relaytw.admin.state import StateFilter
from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table, size
from relaytw.cli.target import Options


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, what in (
        ("--user", "Only this user hash."), ("--room", "Only this room: its channel id, or its name."),
        ("--device", "Only this device."), ("--bot", "Only this bot."),
    ):  # fmt: skip
        command = click.option(name, help=what)(command)
    return command


@click.group()
def state() -> None:
    """What bots remember of people and rooms."""


@state.command()
@_which
@click.option("--values", is_flag=True, help="Show what is remembered, too; that is written down.")
@json_option
@click.pass_obj
def show(options: Options, /, values: bool, as_json: bool, **which: str | None) -> None:
    """List the conversations of which something is remembered (1,000 at most)."""
    client, wanted = admin_client(options), StateFilter(**which)
    shown = client.state_values(wanted) if values else client.state(wanted)
    if as_json:
        print_json(shown)
        return
    if not shown:
        click.echo("Nothing is remembered.")
        return
    now = options.outside.now()
    rows: list[tuple[object, ...]] = [
        (one.bot, one.device, one.room, one.user or "(the room)", one.names, size(one.bytes),
         f"{max(0.0, one.until - now):.0f} s", *([json.dumps(one.values, ensure_ascii=False)] * values))
        for one in shown
    ]  # fmt: skip
    head = ("BOT", "DEVICE", "ROOM", "USER", "NAMES", "SIZE", "FORGOTTEN_IN", *(["VALUES"] * values))
    print_table(head, rows)


@state.command()
@_which
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@click.pass_obj
def clear(options: Options, /, yes: bool, **which: str | None) -> None:
    """Forget the conversations that are like the options say; all of them without any."""
    told = ", ".join(f"{name} {clean(value)}" for name, value in which.items() if value is not None)
    if not yes:
        click.confirm(f"Forget what bots remember of {told or 'everybody'}?", abort=True)
    count = admin_client(options).clear_state(StateFilter(**which))
    click.echo(f"{count} conversations are forgotten.")

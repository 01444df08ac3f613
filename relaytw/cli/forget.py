"""Forgetting a person."""

from __future__ import annotations

import click

from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean
from relaytw.cli.target import Options


@click.command()
@click.argument("user_hash", metavar="USERHASH")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@click.pass_obj
def forget(options: Options, user_hash: str, yes: bool) -> None:
    """Delete what the person with USERHASH said, and what was answered to it, from the relay's tables."""
    if not yes:
        click.confirm(f"Delete everything that {clean(user_hash)} said, and the answers to it?", abort=True)
    client = admin_client(options)
    messages = answers = 0
    more = True
    while more:
        gone = client.forget(user_hash)
        messages, answers, more = messages + gone.messages, answers + gone.answers, gone.more
        if more:
            click.echo(f"{messages} messages and {answers} answers so far …", err=True)
    click.echo(f"Deleted {messages} messages of {clean(user_hash)} and {answers} answers to them.")

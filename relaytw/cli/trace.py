"""What became of a message: when it came, ran, and what its replies came to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from relaytw.admin.outbox import Trace, TracedMessage
from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table
from relaytw.cli.target import Options

Row = tuple[float, str, str]


@click.group()
def trace() -> None:
    """What became of messages, stage by stage."""


@trace.command()
@click.argument("name", metavar="ID")
@json_option
@click.pass_obj
def message(options: Options, name: str, as_json: bool) -> None:
    """Show the life of the message ID (its id, or the trace id from the log) and of its replies."""
    found = admin_client(options).trace(name)
    if as_json:
        print_json(found)
        return
    if not found.messages and not found.replies:
        raise click.ClickException(
            f"nothing is known of {clean(name)}: it is not finished, or too old, or there was none"
        )
    for one in found.messages:
        click.echo(
            f"message {clean(one.id)} of {clean(one.bot)}@{clean(one.device)}, trace {clean(one.trace)}"
        )
        click.echo(f"room {clean(one.room)} ({clean(one.channel_id)}), {one.bytes} bytes")
    rows = sorted(_rows(found))
    first = rows[0][0]
    print_table(
        ("WHEN", "AFTER", "WHAT", "WHY"),
        [(_time(at), f"{(at - first) * 1000:.1f} ms", what, why) for at, what, why in rows],
    )


def _rows(found: Trace) -> Iterator[Row]:
    for one in found.messages:
        yield from _message_rows(one)
    for reply in found.replies:
        if reply.written is not None:
            yield reply.written, f"reply {reply.id} written", ""
        yield reply.at, f"reply {reply.id} {reply.stage}", reply.why
    noted = {reply.id for reply in found.replies}
    for one in found.messages:
        for index in range(one.replies):
            if f"{one.id}/{index}" not in noted:
                yield one.ended, f"reply {one.id}/{index} sent-unconfirmed", "written at once"


def _message_rows(one: TracedMessage) -> Iterator[Row]:
    yield one.received, "received", "it came again after a restart" if one.redelivered else ""
    yield one.accepted, "accepted", ""
    if one.started is None:
        yield one.ended, "finished", "no handler was given it"
    else:
        yield one.started, "started", ""
        yield one.ended, "finished", f"{one.replies} replies"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

"""The journal: what is accepted and not finished, and the messages that were given up."""

from __future__ import annotations

from collections.abc import Iterator

import click

from relaytw.admin.journal import DeadLetter, Journal
from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table, size
from relaytw.cli.target import Options, read_settings, state_dir_of


@click.group()
def journal() -> None:
    """What is accepted and not finished, and the messages that were given up."""


@journal.command()
@json_option
@click.pass_obj
def show(options: Options, as_json: bool) -> None:
    """Show the journal's files and what in them is not finished."""
    shown = admin_client(options).journal()
    if as_json:
        print_json(shown)
        return
    for label, text in _lines(shown, options.outside.now()):
        click.echo(f"{label:<12} {clean(text)}")
    if shown.segments:
        click.echo()
        rows = [(segment.name, size(segment.bytes), segment.unfinished) for segment in shown.segments]
        print_table(("FILE", "SIZE", "UNFINISHED"), rows)


@journal.command()
@click.pass_obj
def verify(options: Options) -> None:
    """Read every file of the journal and say what is damaged; needs no running relay."""
    # Only here are the relay's own files read; everything else is asked of the relay.
    from relaytw.store.journal_files import inspect  # noqa: PLC0415

    folder = state_dir_of(options, read_settings(options)) / "journal"
    if not folder.is_dir():
        raise click.ClickException(f"there is no journal at {folder}")
    try:
        found = inspect(folder)
    except OSError as error:
        raise click.ClickException(f"the journal cannot be read: {error}") from error
    rows = [
        (file.name, size(file.bytes), file.messages, file.replies, file.bad, _ends(file.readable, file.torn))
        for file in found.files
    ]
    print_table(("FILE", "SIZE", "MESSAGES", "REPLIES", "DAMAGED", "END"), rows)
    click.echo(
        f"\n{found.unfinished_messages} messages and {found.unfinished_replies} replies are not finished."
    )
    if any(file.bad or not file.readable for file in found.files):
        raise click.ClickException("the journal is damaged; what can be read is taken up at the next start")


@journal.command()
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, at most.")
@click.pass_obj
def dead(options: Options, limit: int, as_json: bool) -> None:
    """List the messages that were given up, and why; newest first."""
    shown = admin_client(options).dead_letters()[:limit]
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No message was given up.")
    else:
        now = options.outside.now()
        print_table(
            ("ID", "WHEN", "REASON", "BOT", "DEVICE", "ROOM_ID", "DELIVERIES", "RECEIVED", "TEXT"),
            [_row(letter, now) for letter in shown],
        )


@journal.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def requeue(options: Options, number: int) -> None:
    """Accept the message ID, which was given up, as if it had just come."""
    admin_client(options).requeue(number)
    click.echo(f"Message {number} is accepted again.")


@journal.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def drop(options: Options, number: int) -> None:
    """Forget the message ID, which was given up."""
    admin_client(options).drop_dead_letter(number)
    click.echo(f"Message {number} is forgotten.")


def _lines(shown: Journal, now: float) -> Iterator[tuple[str, str]]:
    if shown.sync == "none":
        yield "journal", "none: accepted messages live in memory only"
        return
    state = shown.problem or ("syncs to the disk" if shown.sync == "full" else "written, not synced")
    yield "journal", f"{shown.sync}: {state}"
    yield "size", f"{size(shown.bytes)} in {len(shown.segments)} files"
    unfinished = f"{shown.unfinished} ({size(shown.unfinished_bytes)})"
    yield (
        "unfinished",
        unfinished if shown.oldest is None else f"{unfinished}, oldest {ago(shown.oldest, now)}",
    )
    yield "loading", f"{shown.loading} of an earlier run are not in their rooms' queues yet"
    yield "damaged", f"{shown.bad_records} records, {shown.torn_tails} torn ends at the start"


def _ends(readable: bool, torn: bool) -> str:
    if not readable:
        return "no header"
    return "torn" if torn else "whole"


def _row(letter: DeadLetter, now: float) -> tuple[object, ...]:
    return (
        letter.id, ago(letter.at, now), letter.reason, letter.bot, letter.device, letter.room_id,
        letter.deliveries, ago(letter.received_at, now), letter.text[:60],
    )  # fmt: skip

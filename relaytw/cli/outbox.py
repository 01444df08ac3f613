"""Replies that have not ended: who has not got what, since when; dropping them; sending a text."""

from __future__ import annotations

import click

from relaytw.admin.outbox import DropReplies, SendText, Sent
from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table
from relaytw.cli.target import Options
from relaytw.messages import Outcome

_SAID = {
    Outcome.CONFIRMED: "confirmed: the phone has typed it",
    Outcome.SENT: "sent, unconfirmed: the phone was given it, and nobody can tell more",
    Outcome.WAITING: "waiting: the phone has not got it yet",
    Outcome.EXPIRED: "expired: it waited too long, or there was no room for it",
    Outcome.FAILED: "failed: it cannot arrive",
}


@click.group()
def outbox() -> None:
    """Replies that wait for their phone, or for its acknowledgement."""


@outbox.command("list")
@json_option
@click.pass_obj
def list_holdings(options: Options, as_json: bool) -> None:
    """List for which phones replies wait, how many, and since when."""
    shown = admin_client(options).outbox()
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No reply waits.")
    else:
        now = options.outside.now()
        rows = [
            (
                one.bot, one.device, "yes" if one.here else "no", one.waiting, one.unacknowledged,
                one.bytes, one.rooms, ago(one.oldest, now),
            )
            for one in shown
        ]  # fmt: skip
        print_table(("BOT", "DEVICE", "HERE", "WAITING", "UNCONFIRMED", "SIZE", "ROOMS", "OLDEST"), rows)


@outbox.command()
@click.argument("bot")
@click.argument("device")
@json_option
@click.pass_obj
def show(options: Options, bot: str, device: str, as_json: bool) -> None:
    """List the replies that DEVICE of BOT has not got, or not acknowledged, without what they say."""
    shown = admin_client(options).held_for(bot, device)
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo(f"No reply waits for {clean(bot)}@{clean(device)}.")
    else:
        now = options.outside.now()
        rows = [
            (
                one.id, one.room, one.channel_id, one.what, ago(one.since, now),
                "yes" if one.written else "no", one.trace,
            )
            for one in shown
        ]  # fmt: skip
        print_table(("ID", "ROOM", "CHANNEL", "WHAT", "SINCE", "WRITTEN", "TRACE"), rows)


@outbox.command()
@click.argument("bot")
@click.argument("device")
@click.option("--room", help="Only those of this room: its channel id, or its name if it has none.")
@click.option("--id", "reply_id", help="Only the reply of this id.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(options: Options, bot: str, device: str, room: str | None, reply_id: str | None, yes: bool) -> None:
    """Drop the replies that wait for DEVICE of BOT; they become dead letters."""
    who = f"{clean(bot)}@{clean(device)}"
    if not yes and room is None and reply_id is None:
        click.confirm(f"Drop every reply for {who}?", abort=True, err=True)
    dropped = admin_client(options).drop_replies(DropReplies(bot, device, room, reply_id))
    click.echo(f"{dropped} replies for {who} are dropped.")


@click.command()
@click.argument("bot")
@click.argument("device")
@click.argument("room")
@click.argument("text")
@click.option(
    "--wait", type=click.FloatRange(0, 60), default=5.0, show_default=True,
    help="Seconds to wait for what becomes of it.",
)  # fmt: skip
@json_option
@click.pass_obj
def send(options: Options, bot: str, device: str, room: str, text: str, wait: float, as_json: bool) -> None:
    """Send TEXT to ROOM (channel id or name) by DEVICE of BOT, and say what has become of it.

    Exits 1 if it cannot arrive.
    """
    sent = admin_client(options).send(SendText(bot, device, room, text, wait))
    lost = sent.outcome in (Outcome.EXPIRED, Outcome.FAILED)
    if as_json:
        print_json(sent)
        raise click.exceptions.Exit(int(lost))
    if lost:
        raise click.ClickException(_said(sent))
    click.echo(_said(sent))


def _said(sent: Sent) -> str:
    why = f" ({clean(sent.why)})" if sent.why else ""
    return f"{_SAID[sent.outcome]}{why}; its id is {sent.id}"

"""What a relay is doing: its figures, its phones, and the connections it has had."""

from __future__ import annotations

from collections.abc import Iterator

import click

from relaytw.admin.shapes import Phone, RelayStatus
from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table, size, span
from relaytw.cli.target import Options


@click.command()
@json_option
@click.pass_obj
def status(options: Options, as_json: bool) -> None:
    """Show the relay in one glance."""
    shown = admin_client(options).status()
    if as_json:
        print_json(shown)
        return
    for label, text in _lines(shown, options.outside.now()):
        click.echo(f"{label:<12} {clean(text)}")


@click.command()
@json_option
@click.pass_obj
def phones(options: Options, as_json: bool) -> None:
    """List the phones that are connected now."""
    shown = admin_client(options).phones()
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No phone is connected.")
    else:
        now = options.outside.now()
        columns = ("BOT", "DEVICE", "STATUS", "PROVEN", "SCRIPT", "ADDRESS", "HEARD", "PING", "MESSAGES")
        print_table(columns, [_phone_row(phone, now) for phone in shown])


@click.command()
@click.argument("bot")
@click.argument("device")
@click.pass_obj
def disconnect(options: Options, bot: str, device: str) -> None:
    """Close the connection of DEVICE for BOT; the phone may come back."""
    admin_client(options).disconnect(bot, device)
    click.echo(f"{clean(bot)}@{clean(device)} is disconnected.")


@click.command()
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, at most.")
@click.pass_obj
def closes(options: Options, limit: int, as_json: bool) -> None:
    """List the last connections that ended or were refused, and why; newest last."""
    shown = admin_client(options).closes()[-limit:]
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No connection has ended yet.")
    else:
        now = options.outside.now()
        rows = [
            (ago(row.at, now), row.reason, row.bot, row.device, row.address, span(row.seconds), row.detail)
            for row in shown
        ]
        print_table(("WHEN", "REASON", "BOT", "DEVICE", "ADDRESS", "LASTED", "DETAIL"), rows)


def _phone_row(phone: Phone, now: float) -> tuple[object, ...]:
    return (
        phone.bot,
        phone.device,
        phone.status,
        "yes" if phone.proven else "no",
        phone.version,
        phone.address,
        ago(phone.last_heard, now),
        "-" if phone.round_trip_ms is None else f"{phone.round_trip_ms} ms",
        phone.messages,
    )


def _lines(shown: RelayStatus, now: float) -> Iterator[tuple[str, str]]:
    state = "ready" if shown.not_ready is None else f"not ready: {shown.not_ready}"
    yield "relay", f"{shown.name} ({shown.mode}), {state}"
    yield "version", f"relaytw {shown.version}, up {span(now - shown.started_at)}"
    yield "listening", ", ".join(shown.listening)
    held = f"{shown.connections} of {shown.connections_limit}"
    yield "connections", f"{held}, {shown.overflow} in overflow, {shown.provisional} provisional"
    yield "phones", str(shown.clients)
    yield "messages", f"{shown.accepted} accepted, {shown.finished} finished, {shown.failed} failed"
    yield "queue", f"{shown.waiting} waiting ({size(shown.waiting_bytes)}), {shown.running} running"
    yield "replies", f"{shown.replies_sent} sent, {shown.outbox} waiting ({size(shown.outbox_bytes)})"
    files = f"{shown.journal_segments} files ({size(shown.journal_bytes)})"
    yield "journal", f"{shown.journal_unfinished} unfinished in {files}"
    yield "lanes", f"{shown.lanes}, {shown.consumers} consumers"
    yield "penalties", str(shown.penalties)
    database = "answers" if shown.database_up else "does not answer"
    yield "database", f"{database}, {shown.rows_waiting} rows waiting ({size(shown.rows_waiting_bytes)})"
    yield "memory", size(shown.memory_bytes)
    for hook in shown.webhooks:
        again = f" for {span(hook.again_in)}" if hook.state == "open" else ""
        counts = f"{hook.calls} calls, {hook.failures} failures, {hook.at_work} at work"
        yield "webhook", f"{hook.name}: {hook.state}{again}, {counts}"

"""The database itself, with the relay stopped or running: looking at it, upgrading it, copying it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from relaytw.cli.client import AdminError, Unreached, admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table
from relaytw.cli.target import Options, config_path
from relaytw.config import Config, load
from relaytw.errors import ConfigError
from relaytw.maintenance.access import Access, MaintenanceError
from relaytw.maintenance.backup import back_up, chosen_tables
from relaytw.maintenance.checking import Report, Verdict, apply
from relaytw.maintenance.checking import check as look
from relaytw.maintenance.restore import Choice
from relaytw.maintenance.restore import restore as put_back

T = TypeVar("T")
_CODES = {
    Verdict.FIT: 0, Verdict.EMPTY: 0, Verdict.NEEDS_UPGRADE: 1, Verdict.NOT_UNDERSTOOD: 2,
}  # fmt: skip
_UNREACHABLE = 3
_SAID = {
    Verdict.FIT: "It is what this version works with.",
    Verdict.EMPTY: "It is empty: the relay makes its tables when it starts.",
    Verdict.NEEDS_UPGRADE: "It lacks what this version works with.  `relayctl db upgrade` would:",
    Verdict.NOT_UNDERSTOOD: "It is not understood, and nothing in it will be changed:",
}
_TABLES = click.option(
    "--tables",
    metavar="NAMES",
    help="Only these tables, separated by commas; with a - before each, all but these.",
)
_ARCHIVE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def db() -> None:
    """The database's tables; works with the relay stopped or running."""


@db.command()
@json_option
@click.pass_obj
def check(options: Options, as_json: bool) -> None:
    """Say what the database has, how it differs, and what an upgrade would do.

    Exits with 0 if a relay can start on it, 1 if it needs an upgrade, 2 if it is not understood, and 3 if
    it cannot be reached.
    """
    try:
        report = look(_access(options))
    except MaintenanceError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(_UNREACHABLE) from error
    if as_json:
        print_json(report)
    else:
        _print(report)
    raise SystemExit(_CODES[report.verdict])


@db.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def upgrade(options: Options, dry_run: bool, yes: bool) -> None:
    """Add the tables, columns and indexes that this version needs; nothing that is there is altered.

    Safe to run again: it does what is left to do.
    """
    access = _access(options)
    report = _done(lambda: look(access))
    if report.verdict is Verdict.NOT_UNDERSTOOD:
        _print(report)
        raise SystemExit(_CODES[report.verdict])
    if report.verdict is Verdict.FIT:
        click.echo(f"{clean(report.database)} needs nothing.")
        return
    for step in report.steps:
        click.echo(f"  {clean(step)}")
    if dry_run:
        click.echo("Nothing was done.")
        return
    if not access.url.own and not yes:
        click.confirm(f"Change {clean(report.database)}?", abort=True)
    _done(lambda: apply(access, lambda step: click.echo(f"done: {clean(step)}")))
    click.echo(f"{clean(report.database)} is what this version works with.")


@click.command()
@click.argument("file", type=_ARCHIVE)
@_TABLES
@click.pass_obj
def backup(options: Options, file: Path, tables: str | None) -> None:
    """Copy the tables and the secrets into FILE, such as relay.tar.gz, while the relay runs or not.

    What FILE holds now is replaced when the new copy is complete.
    """
    access = _access(options)
    manifest = _done(lambda: back_up(access, file, chosen_tables(tables), secrets.token_hex(4), _progress))
    rows = sum(entry.rows for entry in manifest.tables.values())
    click.echo(
        f"{clean(file)}: {rows:,} rows of {len(manifest.tables)} tables, {len(manifest.files)} secrets"
    )


@click.command()
@click.argument("file", type=_ARCHIVE)
@_TABLES
@click.option("--replace", is_flag=True, help="Give up the rows and secrets that are there.")
@click.option("--drop-unknown", is_flag=True, help="Leave out columns that the tables there do not have.")
@click.pass_obj
def restore(options: Options, file: Path, tables: str | None, replace: bool, drop_unknown: bool) -> None:
    """Put what `relayctl backup` copied into the configured database, of either kind.

    The relay must be stopped.  All of FILE is checked before anything is changed.
    """
    if _runs(options):
        raise click.ClickException("the relay is running: stop it first, for it would write in between")
    access = _access(options)
    notes = _done(
        lambda: put_back(access, file, Choice(chosen_tables(tables), replace, drop_unknown), _progress)
    )
    for note, count in notes.items():
        click.echo(f"{count:,} rows: {clean(note)}", err=True)
    click.echo(f"{clean(file)} is restored to {clean(access.url)}")


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except MaintenanceError as error:
        raise click.ClickException(str(error)) from error


def _access(options: Options) -> Access:
    try:
        return Access.of(_config(options))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def _config(options: Options) -> Config:
    flags = {} if options.state_dir is None else {"relay.state_dir": str(options.state_dir)}
    return load(config_path(options), options.outside.environ, flags)


def _runs(options: Options) -> bool:
    # Only the relay of this state folder knows its token: another one on the same address refuses it.
    try:
        admin_client(options).status()
    except Unreached:
        return False
    except AdminError as error:
        return error.code != "unauthorized"
    return True


def _progress(line: str) -> None:
    click.echo(clean(line), err=True)


def _print(report: Report) -> None:
    click.echo(f"{clean(report.database)} ({clean(report.version)})")
    if report.tables:
        print_table(("TABLE", "ROWS"), [(table.name, f"{table.rows:,}") for table in report.tables])
    for difference in report.differences:
        click.echo(f"- {clean(difference.text)}")
    click.echo(_SAID[report.verdict])
    for line in report.refusals or (report.steps if report.verdict is Verdict.NEEDS_UPGRADE else []):
        click.echo(f"  {clean(line)}")

"""The code of bots: what is loaded, and loading it anew."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from relaytw.admin.modules import ModuleLoaded
from relaytw.cli.client import admin_client
from relaytw.cli.tables import clean, json_option, print_json, print_table
from relaytw.cli.target import Options


@click.command()
@json_option
@click.pass_obj
def modules(options: Options, as_json: bool) -> None:
    """List the modules with bots, and what is wrong with them."""
    _show(admin_client(options).modules(), as_json=as_json)


@click.command()
@click.argument("module", required=False)
@json_option
@click.pass_obj
def reload(options: Options, module: str | None, as_json: bool) -> None:
    """Load MODULE anew, or all of them; one that cannot be loaded stays as it was.

    Exits 1 if there is one.
    """
    loaded = admin_client(options).reload_modules(module)
    _show(loaded, as_json=as_json)
    if any(one.problem for one in loaded):
        raise SystemExit(1)


def _show(shown: Sequence[ModuleLoaded], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    if not shown:
        click.echo("No module with bots is loaded.")
        return
    rows = [(one.name, one.source, one.bots, one.handlers, _time(one.loaded_at)) for one in shown]
    print_table(("MODULE", "FROM", "BOTS", "HANDLERS", "LOADED"), rows)
    for one in shown:
        if one.problem:
            click.echo(f"\n{clean(one.name)} cannot be loaded: {clean(one.problem)}")


def _time(at: float | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))

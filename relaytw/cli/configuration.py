"""The relay's configuration, as it would start with it here: is it valid, and what does it say?"""

from __future__ import annotations

from typing import Any

import click
import msgspec

from relaytw.cli.tables import json_option, print_json, print_table
from relaytw.cli.target import Options, config_path
from relaytw.errors import ConfigError


@click.group()
def config() -> None:
    """The relay's configuration."""


@config.command()
@click.pass_obj
def check(options: Options) -> None:
    """Say whether the configuration is valid, and everything that is wrong with it."""
    from relaytw.config import load  # noqa: PLC0415 (pydantic is slow to import, and only wanted here)

    try:
        load(config_path(options), options.outside.environ, {})
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    click.echo("ok")


@config.command()
@click.option("--changed", is_flag=True, help="Only what is given somewhere.")
@json_option
@click.pass_obj
def show(options: Options, changed: bool, as_json: bool) -> None:
    """Show every key with its value and where that comes from; secrets are masked."""
    from relaytw.config import load_with_origins, shown  # noqa: PLC0415 (as above)

    flags = {"relay.state_dir": str(options.state_dir)} if options.state_dir is not None else {}
    try:
        found, origins = load_with_origins(config_path(options), options.outside.environ, flags)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    keys = [key for key in shown(found, origins) if key.origin != "default" or not changed]
    if as_json:
        print_json([key._asdict() for key in keys])
    elif not keys:
        click.echo("Everything has its default.")
    else:
        print_table(("KEY", "VALUE", "FROM"), [(key.key, _text(key.value), key.origin) for key in keys])


def _text(value: Any) -> str:
    # As it would stand in the environment; a key that is not given has no value there either.
    return "-" if value is None else msgspec.json.encode(value).decode()

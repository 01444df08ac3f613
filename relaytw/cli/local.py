"""What needs the relay's files rather than a running relay: its secret and its configuration."""

from __future__ import annotations

import click

from relaytw.cli.target import SECRET_FILE, Options, Settings, config_path, read_settings, state_dir_of
from relaytw.errors import ConfigError

_HOW_TO = (
    "Put it into the bridge script on the phone as its secret key, then save and compile the script "
    "in MessengerBotR."
)


@click.group()
def secret() -> None:
    """The secret that phones sign with."""


@secret.command()
@click.pass_obj
def show(options: Options) -> None:
    """Print the secret, or say where it is configured.

    Only the secret goes to standard output, so that it can be piped.
    """
    settings = read_settings(options)
    where = _configured(settings)
    if where is not None:
        click.echo(f"The secret is configured by {where}.  {_HOW_TO}", err=True)
        return
    path = state_dir_of(options, settings) / SECRET_FILE
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise click.ClickException(
            f"there is no secret at {path} yet\n"
            "The relay makes it at its first start: `twistd -n relay`.  If it runs elsewhere, say where "
            "its files are with --config or --state-dir."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    click.echo(text)
    click.echo(_HOW_TO, err=True)


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


def _configured(settings: Settings) -> str | None:
    for key in ("secret", "secrets", "secret_file"):
        value = settings.get("auth", key)
        if value is not None:
            path = f" ({value})" if key == "secret_file" else ""
            return f"auth.{key}{path} in {settings.origin('auth', key)}"
    return None

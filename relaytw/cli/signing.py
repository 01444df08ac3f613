"""What simulated phones need of the relay they talk to: where it listens, its secret, its approval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from relaytw.cli.client import AdminError, admin_client
from relaytw.cli.target import SECRET_FILE, Options, find_target, read_settings
from relaytw.messages import Status

HOST = "127.0.0.1"
PORT = 1490

Command = Callable[..., Any]


class Key(NamedTuple):
    """What a phone signs with; None signs nothing."""

    secret: bytes | None
    salt: str


def phone_options(command: Command) -> Command:
    """The options that every simulated phone has."""
    for option in reversed(
        (
            click.option("--host", default=HOST, show_default=True, help="Where the relay listens."),
            click.option(
                "--port", default=PORT, show_default=True, type=click.IntRange(1, 65535), help="Its port."
            ),
            click.option(
                "--dialect", default="3.2", show_default=True, type=click.Choice(["3.2", "3.3", "4.0"])
            ),
            click.option(
                "--secret-file",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="Sign with what this file holds.  [default: the relay's own secret]",
            ),
            click.option("--unsigned", is_flag=True, help="Sign nothing."),
            click.option(
                "--approve/--no-approve",
                default=True,
                help="Approve the phone's device and rooms first, where the admin token can be read.  "
                "[default: approve]",
            ),
        )
    ):
        command = option(command)
    return command


def signing_key(options: Options, bot: str, secret_file: Path | None, *, unsigned: bool) -> Key:
    """The key to sign with: from `secret_file`, else the one the relay itself would use.

    Unsigned with a warning where neither can be read.
    """
    if unsigned:
        return Key(None, "")
    settings = read_settings(options)
    bots = settings.get("auth", "bots")
    own = bots.get(bot, {}) if isinstance(bots, dict) else {}
    salt = own.get("salt", settings.text("auth", "salt", "")) if isinstance(own, dict) else ""
    if secret_file is not None:
        return Key(_read(secret_file), salt)
    for read in (partial(_in_table, own), partial(settings.get, "auth")):
        if (secret := _configured(read)) is not None:
            return Key(secret, salt)
    path = find_target(options).state_dir / SECRET_FILE
    if not path.exists():
        click.echo(
            f"relayctl: there is no secret at {path}; nothing is signed (see --secret-file, --state-dir)",
            err=True,
        )
        return Key(None, "")
    return Key(_read(path), salt)


def approve(options: Options, bot: str, device: str, rooms: Iterable[str]) -> None:
    """Approve a device and its rooms; without the admin token that is left to the operator."""
    if find_target(options).token is None:
        return
    client = admin_client(options)
    try:
        client.set_device(bot, device, Status.APPROVED, register=True)
        for room in rooms:
            client.set_room(bot, device, room, Status.APPROVED, register=True)
    except AdminError as error:
        click.echo(f"relayctl: the phone is not approved: {error.message}", err=True)


def _in_table(table: object, key: str) -> Any:
    return table.get(key) if isinstance(table, dict) else None


def _configured(read: Callable[[str], Any]) -> bytes | None:
    if isinstance(secret := read("secret"), str):
        return secret.encode()
    secrets = read("secrets")
    if isinstance(secrets, list) and secrets:
        return str(secrets[0]).encode()
    path = read("secret_file")
    return _read(Path(path)) if isinstance(path, str) else None


def _read(path: Path) -> bytes:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n").encode()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error

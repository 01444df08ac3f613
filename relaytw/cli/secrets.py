"""The secret that phones sign with: what it is, and how another one takes its place."""

from __future__ import annotations

import click

from relaytw.admin.secrets import SecretSet, SecretUser
from relaytw.cli.client import AdminError, admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table, span
from relaytw.cli.target import SECRET_FILE, Options, Settings, read_settings, state_dir_of

_HOW_TO = (
    "Put it into the bridge script on the phone as its secret key, then save and compile the script "
    "in MessengerBotR."
)
_ROTATED = """\
A new secret is valid: {path}
The old one stays valid until it is retired: {old_path}
What to do next:
  relayctl secret show     prints the new one; put it into the bridge script of each phone
  relayctl secret status   says which phones still sign with the old one
  relayctl secret retire   ends the old one, once no phone does"""


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


@secret.command()
@click.pass_obj
def rotate(options: Options) -> None:
    """Have the relay make a new secret; the old one stays valid until it is retired."""
    made = admin_client(options).rotate_secret()
    click.echo(_ROTATED.format(path=clean(made.path), old_path=clean(made.old_path)))


@secret.command()
@json_option
@click.pass_obj
def status(options: Options, as_json: bool) -> None:
    """Say how many secrets are valid for which bots, and which phones still sign with an old one."""
    shown = admin_client(options).secrets()
    if as_json:
        print_json(shown)
        return
    now = options.outside.now()
    if not shown.required:
        click.echo("Signatures are not required ([auth] required), so nobody's is looked at.")
    for secrets in shown.sets:
        _print_set(secrets, now)
    if shown.forgotten:
        click.echo(f"{shown.forgotten} clients are not remembered: there were more than [auth] signers.")
    click.echo(f"Seen since the relay started, {ago(shown.watched_since, now)}.")


@secret.command()
@click.option("--yes", is_flag=True, help="Even if phones that still sign with it are locked out.")
@click.pass_obj
def retire(options: Options, yes: bool) -> None:
    """End the old secret.  Phones that still sign with it are not heard any more."""
    client = admin_client(options)
    try:
        locked_out = client.retire_secret(force=yes).locked_out
    except AdminError as error:
        if error.code == "secret_in_use":
            hint = "See relayctl secret status; to end it all the same: relayctl secret retire --yes"
            raise AdminError(f"{clean(error.message)}\n{hint}", error.code) from error
        raise
    click.echo("The old secret is not valid any more.")
    if locked_out:
        click.echo("These are not heard until they have the new one:")
        _print_users(locked_out, options.outside.now())


def _print_set(secrets: SecretSet, now: float) -> None:
    names = [clean(bot) for bot in secrets.bots]
    if secrets.common:
        names.append("every bot without one of its own" if not names else "every other bot without its own")
    valid = "1 secret is valid" if secrets.valid == 1 else f"{secrets.valid} secrets are valid"
    rotated = "" if secrets.rotated_at is None else f", rotated {ago(secrets.rotated_at, now)}"
    click.echo(f"{', '.join(names)}: {valid} ({clean(secrets.source)}){rotated}")
    if secrets.valid == 1:
        click.echo(f"  {secrets.new} clients sign with it")
        return
    click.echo(f"  {secrets.new} clients sign with the newest, {len(secrets.old)} with an older one")
    if secrets.old:
        _print_users(secrets.old, now)


def _print_users(users: list[SecretUser], now: float) -> None:
    rows = [(user.bot, user.device, span(now - user.last_seen), _yes(user.connected)) for user in users]
    print_table(("BOT", "DEVICE", "SIGNED AGO", "CONNECTED"), rows)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _configured(settings: Settings) -> str | None:
    for key in ("secret", "secrets", "secret_file"):
        value = settings.get("auth", key)
        if value is not None:
            path = f" ({value})" if key == "secret_file" else ""
            return f"auth.{key}{path} in {settings.origin('auth', key)}"
    return None

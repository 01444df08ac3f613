"""Bots' settings: look at them, change them, pause a bot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from relaytw.admin.shapes import Bot, BotChange
from relaytw.cli.client import admin_client
from relaytw.cli.modules import modules, reload
from relaytw.cli.tables import clean, json_option, print_json, print_table
from relaytw.cli.target import Options
from relaytw.settings import BotSettings, ChatLogPolicy

#: What stands for no value of one's own.
_DEFAULT = "default"
_YES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@click.group()
def bots() -> None:
    """List bots' settings and change them; a change is in force at once."""


@bots.command("list")
@json_option
@click.pass_obj
def list_bots(options: Options, as_json: bool) -> None:
    """List the bots that have settings of their own."""
    shown = admin_client(options).bots()
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No bot is known.  A bot becomes known when an approved or signing phone of it connects.")
    else:
        headings = ("BOT", "STATE", "PREFIX", "ADMINS", "PER_BOT", "PER_ROOM", "CHAT_LOG")
        rows = [
            (
                bot.bot,
                _state(bot),
                bot.prefix,
                len(bot.admins),
                _or_default(bot.per_bot),
                _or_default(bot.per_room),
                _or_default(bot.chat_log),
            )
            for bot in shown
        ]
        print_table(headings, rows)


@bots.command()
@click.argument("bot")
@json_option
@click.pass_obj
def show(options: Options, bot: str, as_json: bool) -> None:
    """Show every setting of BOT."""
    found = next((one for one in admin_client(options).bots() if one.bot == bot), None)
    known = found is not None
    shown = found or Bot.of(BotSettings(bot))
    if as_json:
        print_json(shown)
        return
    rows = [
        ("prefix", shown.prefix),
        ("admins", ", ".join(shown.admins) or "only those of the configuration"),
        ("per_bot", _or_default(shown.per_bot)),
        ("per_room", _or_default(shown.per_room)),
        ("chat_log", _or_default(shown.chat_log)),
        ("max_message_size", _or_default(shown.max_message_size)),
        ("image_width", shown.image_width),
        ("paused", "yes" if shown.paused else "no"),
    ]
    print_table(("SETTING", "VALUE"), rows)
    if not known:
        click.echo(f"\n{clean(bot)} has no settings of its own; these are the usual ones.")


@bots.command("set", epilog=f"KEYS: {', '.join(BotChange.__struct_fields__[1:-1])}")
@click.argument("bot")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True)
@click.option("--new", is_flag=True, help="BOT may be one that was never seen.")
@click.pass_obj
def set_bot(options: Options, bot: str, settings: tuple[str, ...], new: bool) -> None:
    """Change settings of BOT; the value "default" is what the configuration says.

    Admins are user hashes with commas in between; sizes are in bytes, widths in pixels.
    """
    values = read_settings(settings, _KINDS)
    admin_client(options).set_bot(BotChange(bot, **values, register=new))
    click.echo(f"{clean(bot)}: {', '.join(clean(setting) for setting in settings)}")


@bots.command()
@click.argument("bot")
@click.pass_obj
def pause(options: Options, bot: str) -> None:
    """Take messages of BOT in, but run none of them; those that wait neither."""
    admin_client(options).set_bot(BotChange(bot, paused=True))
    click.echo(f"{clean(bot)} is paused.")


@bots.command()
@click.argument("bot")
@click.pass_obj
def resume(options: Options, bot: str) -> None:
    """Run the messages of BOT again, from the next one on."""
    admin_client(options).set_bot(BotChange(bot, paused=False))
    click.echo(f"{clean(bot)} is running.")


bots.add_command(modules)
bots.add_command(reload)


def read_settings(settings: Iterable[str], kinds: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The values of `key=value` words, read as their key's kind says.  Raises click.UsageError."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in kinds:
            raise click.UsageError(f"{setting!r} must be KEY=VALUE with a KEY out of: {', '.join(kinds)}")
        if name in values:
            raise click.UsageError(f"{name} is given twice")
        try:
            values[name] = kinds[name](text)
        except ValueError as error:
            raise click.UsageError(f"{name}={text}: {error}") from error
    return values


def number(text: str) -> int | None:
    """A whole number, or None for "default".  Raises ValueError."""
    if text == _DEFAULT:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, or {_DEFAULT}") from None


def yes_or_no(text: str) -> bool:
    """True or false.  Raises ValueError."""
    if text.lower() not in _YES:
        raise ValueError("must be yes or no")
    return _YES[text.lower()]


def policy(text: str) -> ChatLogPolicy | None:
    """How much of a chat is kept, or None for "default".  Raises ValueError."""
    if text == _DEFAULT:
        return None
    if text not in list(ChatLogPolicy):
        raise ValueError(f"must be {', '.join(ChatLogPolicy)} or {_DEFAULT}")
    return ChatLogPolicy(text)


def _width(text: str) -> int:
    width = number(text)
    return BotSettings("").image_width if width is None else width


def _prefix(text: str) -> str:
    return BotSettings("").prefix if text == _DEFAULT else text


def _hashes(text: str) -> list[str]:
    return [] if text == _DEFAULT else [name.strip() for name in text.split(",") if name.strip()]


_KINDS: Mapping[str, Callable[[str], Any]] = {
    "prefix": _prefix,
    "admins": _hashes,
    "per_bot": number,
    "per_room": number,
    "chat_log": policy,
    "max_message_size": number,
    "image_width": _width,
    "paused": yes_or_no,
}


def _state(bot: Bot) -> str:
    return "paused" if bot.paused else "running"


def _or_default(value: object) -> object:
    return _DEFAULT if value is None else value

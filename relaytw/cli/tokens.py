"""Tokens for programs that use the API: issue, list and revoke them."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from relaytw.admin.callers import Scope
from relaytw.admin.shapes import Listing
from relaytw.admin.tokens import NewToken, Token, TokenMade, TokenName
from relaytw.cli.client import admin_client
from relaytw.cli.tables import ago, clean, json_option, print_json, print_table
from relaytw.cli.target import Options

_PATH = "/api/v1/tokens"


@click.group()
def tokens() -> None:
    """Tokens for programs; each may do what its scopes say, with the bots it is for."""


@tokens.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice([scope.value for scope in Scope]),
    help="What it may do (may be given several times).",
)  # fmt: skip
@click.option("--bot", "bots", multiple=True, help="Only for this bot (may be given several times).")
@click.option("--expires", help="When it ends to count, such as 2026-12-31.  [default: never]")
@click.pass_obj
def issue(
    options: Options, name: str, scopes: tuple[str, ...], bots: tuple[str, ...], expires: str | None
) -> None:
    """Make a token and print it: this once, for the relay keeps nothing but its hash."""
    wanted = NewToken(name, [Scope(scope) for scope in scopes], list(bots) or None, _moment(expires))
    made = admin_client(options).post(_PATH, wanted, TokenMade)
    click.echo(made.token)
    click.echo("Keep it: it is shown this once.", err=True)


@tokens.command("list")
@json_option
@click.pass_obj
def list_tokens(options: Options, as_json: bool) -> None:
    """List the tokens, those that count no more too."""
    shown = admin_client(options).fetch(_PATH, Listing[Token]).items
    if as_json:
        print_json(shown)
        return
    if not shown:
        click.echo("There is no token.  Make one with: relayctl tokens issue NAME --scope push")
        return
    now = options.outside.now()
    rows = [
        (
            token.name, " ".join(token.scopes), "every" if token.bots is None else " ".join(token.bots),
            _state(token, now), "never" if token.used_at is None else ago(token.used_at, now),
        )
        for token in shown
    ]  # fmt: skip
    print_table(("NAME", "SCOPES", "BOTS", "STATE", "USED"), rows)


@tokens.command()
@click.argument("name")
@click.pass_obj
def revoke(options: Options, name: str) -> None:
    """Let a token count no more, at once."""
    admin_client(options).post("/api/v1/tokens/revoke", TokenName(name), TokenName)
    click.echo(f"The token {clean(name)} counts no more.")


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text} is no time such as 2026-12-31 or 2026-12-31T12:00:00+09:00") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _state(token: Token, now: float) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"

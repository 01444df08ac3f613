"""The bridge script for a phone, filled in and ready to paste."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib import resources

import click

from relaytw.cli.signing import PORT, signing_key
from relaytw.cli.target import Options, read_settings
from relaytw.protocols.wire.shapes import BOT_CHARS

_WARNING = (
    "relayctl: this script holds the secret that phones sign with: show it to nobody, and delete copies that "
    "you do not need.  Paste it into MessengerBotR, then save and compile it there."
)
_SERVER = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s\[\]:/]+))(?::(?P<port>\d{1,5}))?")
_FINGERPRINT_DIGITS = 64


@click.command("bridge-script")
@click.option("--bot", required=True, help="The bot's name, as the relay shall know it.")
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Where phones reach the relay; several in the order they are tried.  [default: this machine, "
    f"the port it listens on; default port: {PORT}]",
)
@click.option("--tls", is_flag=True, help="The relay is reached over TLS, with a certificate phones trust.")
@click.option(
    "--fingerprint",
    help="Trust exactly the certificate with this SHA-256 (openssl x509 -noout -fingerprint -sha256); "
    "implies --tls.",
)
@click.option("--no-fallback", is_flag=True, help="Never speak dialect 3.3, not to an old relay either.")
@click.pass_obj
def bridge_script(
    options: Options,
    bot: str,
    servers: tuple[str, ...],
    tls: bool,
    fingerprint: str | None,
    no_fallback: bool,
) -> None:
    """Print the phone's script with the relay's addresses and the bot's secret in it.

    Only the script goes to standard output, so that it can be piped.
    """
    if not 0 < len(bot) <= BOT_CHARS:
        raise click.BadParameter(f"a bot's name has 1 to {BOT_CHARS} characters", param_hint="--bot")
    pin = _fingerprint(fingerprint)
    if not servers:
        servers = (_own_server(options),)
    key = signing_key(options, bot, None, unsigned=False)
    if key.secret is None:
        raise click.ClickException(
            "without a secret the script would be of no use; the relay makes one at its first start"
        )
    values = {
        "bot": bot,
        "secret": key.secret.decode(),
        "salt": key.salt,
        "servers": [_server(server, pin, tls=tls or pin is not None) for server in servers],
        "fallback": not no_fallback,
    }
    click.echo(fill(read_script(), values), nl=False)
    click.echo(_WARNING, err=True)


def read_script() -> str:
    """The script as it is shipped.  Raises FileNotFoundError."""
    package = resources.files("relaytw")
    shipped = package / "relay-bridge.js"
    if not shipped.is_file():
        # In a checkout it stands where people look for it.
        shipped = package / ".." / "clients" / "messengerbot" / "relay-bridge.js"
    return shipped.read_text(encoding="utf-8")


def fill(script: str, values: Mapping[str, object]) -> str:
    """The script with these settings, as JSON literals.  Raises KeyError for one that it does not have."""
    for name, value in values.items():
        # Escaped, nothing in a value can end a string or a line of the script.
        line = f"    {name}: {json.dumps(value, ensure_ascii=True)}"
        script, count = re.subn(
            rf"^    {re.escape(name)}: .*?(,?)$", _replacement(line), script, count=1, flags=re.MULTILINE
        )
        if not count:
            raise KeyError(name)
    return script


def _replacement(line: str) -> Callable[[re.Match[str]], str]:
    return lambda match: line + match.group(1)


def _own_server(options: Options) -> str:
    listen = read_settings(options).get("relay", "listen")
    first = listen[0] if isinstance(listen, list) and listen else listen
    match = re.match(r"\w+:(?:port=)?(\d+)", first) if isinstance(first, str) else None
    address = options.outside.address()
    host = f"[{address}]" if ":" in address else address
    server = f"{host}:{match[1] if match else PORT}"
    click.echo(
        f"relayctl: the script looks for the relay at {server}, this machine; if phones reach it elsewhere, "
        "say where with --server",
        err=True,
    )
    return server


def _server(text: str, fingerprint: str | None, *, tls: bool) -> dict[str, object]:
    match = _SERVER.fullmatch(text)
    port = int(match["port"] or PORT) if match else 0
    if match is None or not 0 < port < 1 << 16:
        raise click.BadParameter(
            f"{text} is not HOST or HOST:PORT (an IPv6 address in brackets)", param_hint="--server"
        )
    return {"host": match["v6"] or match["host"], "port": port, "tls": tls, "fingerprint": fingerprint}


def _fingerprint(text: str | None) -> str | None:
    if text is None:
        return None
    digits = text.rpartition("=")[2].replace(":", "").strip().lower()
    if re.fullmatch(f"[0-9a-f]{{{_FINGERPRINT_DIGITS}}}", digits) is None:
        raise click.BadParameter("a SHA-256 fingerprint has 64 hex digits", param_hint="--fingerprint")
    return digits

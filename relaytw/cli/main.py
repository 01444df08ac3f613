"""`relayctl`: the commands there are, and the options they share."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path

import click

from relaytw import __version__
from relaytw.cli.lazy import LazyGroup
from relaytw.cli.target import Options, Outside

_COMMANDS = {
    "status": ("relaytw.cli.status:status", "The relay in one glance."),
    "phones": ("relaytw.cli.status:phones", "Phones that are connected now."),
    "devices": ("relaytw.cli.approvals:devices", "Known devices; approve, deny or block them."),
    "rooms": ("relaytw.cli.approvals:rooms", "Known rooms; approve, deny or block them."),
    "bots": ("relaytw.cli.bots:bots", "Bots' settings; pause a bot."),
    "audit": ("relaytw.cli.audit:audit", "Who did what, and when."),
    "disconnect": ("relaytw.cli.status:disconnect", "Close a phone's connection."),
    "closes": ("relaytw.cli.status:closes", "Connections that ended or were refused, and why."),
    "penalties": ("relaytw.cli.penalties:penalties", "The penalty box; let a phone out of it."),
    "push": ("relaytw.cli.push:push", "Say something in a room, now or later."),
    "broadcast": ("relaytw.cli.push:broadcast", "Say something in many rooms."),
    "schedule": ("relaytw.cli.schedule:schedule", "What is said again, or at a certain time."),
    "tokens": ("relaytw.cli.tokens:tokens", "Tokens for programs that use the API."),
    "journal": ("relaytw.cli.journal:journal", "The journal, and the messages that were given up."),
    "outbox": ("relaytw.cli.outbox:outbox", "Replies that wait for their phone; drop them."),
    "send": ("relaytw.cli.outbox:send", "Send a text to a room, and say what became of it."),
    "trace": ("relaytw.cli.trace:trace", "What became of a message, stage by stage."),
    "state": ("relaytw.cli.state:state", "What bots remember; forget it."),
    "forget": ("relaytw.cli.forget:forget", "Delete what a person said."),
    "secret": ("relaytw.cli.secrets:secret", "The secret that phones sign with; rotate it."),
    "config": ("relaytw.cli.configuration:config", "Check or show a configuration."),
    "db": ("relaytw.cli.database:db", "The database's tables: check and upgrade them."),
    "backup": ("relaytw.cli.database:backup", "Copy the tables and secrets into a file."),
    "restore": ("relaytw.cli.database:restore", "Put a backup into a database."),
    "bridge-script": ("relaytw.cli.bridge_script:bridge_script", "The script for a real phone, filled in."),
    "phone": ("relaytw.cli.phone:phone", "A simulated phone, for people without one."),
    "simulate": ("relaytw.cli.simulate:simulate", "Many simulated phones, for load."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The relay's configuration file.  [default: ./relay.toml, if there is one]",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The relay's state folder.  [default: from the configuration, else ./relay-state]",
)
@click.option("--url", help="The admin API, such as http://127.0.0.1:8490 or unix:PATH.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that holds the admin token.  [default: admin-token in the state folder]",
)
@click.version_option(__version__, prog_name="relayctl", message="%(prog)s %(version)s")
@click.pass_context
def relayctl(
    ctx: click.Context, config: Path | None, state_dir: Path | None, url: str | None, token_file: Path | None
) -> None:
    """Look at a running relay and act on it."""
    outside = ctx.obj if isinstance(ctx.obj, Outside) else Outside()
    ctx.obj = Options(config, state_dir, url, token_file, outside)


def main() -> None:
    """Run `relayctl`: exits 0 when done, 1 when that failed, 2 when it was not understood."""
    for stream in (sys.stdout, sys.stderr):
        # Names of phones and rooms are anything; an old terminal shows what it cannot as \u escapes.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    relayctl(prog_name="relayctl")

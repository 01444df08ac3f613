"""How lists, times and sizes look on a terminal, and how they look to a program."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import click
import msgspec

#: Columns where the output is no terminal: wide enough that nothing is folded in the middle.
_FILE_WIDTH = 500

_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_KILO = 1024

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """Print a value of the API as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_pages(pages: Iterable[Sequence[Any]]) -> None:
    """Print the items of every page as one JSON list, holding one page at a time."""
    first = True
    for page in pages:
        for item in page:
            click.echo("[" if first else ",")
            click.echo(msgspec.json.format(msgspec.json.encode(item), indent=2).decode(), nl=False)
            first = False
    click.echo("[]" if first else "\n]")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], marked: Collection[int] = ()
) -> None:
    """Print rows under their headings, some of them marked.

    Nothing in a cell can move the cursor or be taken as markup.
    """
    # rich takes longer to import than the rest of relayctl.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*(Text(clean(cell)) for cell in row), style="bold yellow" if number in marked else None)
    width = None if sys.stdout.isatty() else _FILE_WIDTH
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def clean(cell: object) -> str:
    """The text of a cell, control characters and half characters as escapes."""
    if cell is None:
        return "-"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(cell)
    )


def span(seconds: float) -> str:
    """A length of time in its two largest units: "3 h 12 min"."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _SPANS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):  # noqa: PLR2004 (two units)
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def ago(at: float, now: float) -> str:
    """How long ago that was."""
    return f"{span(now - at)} ago"


def size(count: float) -> str:
    """A number of bytes: "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if count < _KILO:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= _KILO
    return f"{count:.1f} GiB"

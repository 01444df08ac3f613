"""The databases that people have already, as the servers before this one left them.

`domaeka` is what its last version works on, `domaeka_oldest` has been through none of the changes since its
first one, and `kkobot` is the other server's. Each is a shape per engine and rows that both load.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

Engine: TypeAlias = Literal["mariadb", "sqlite"]
ENGINES: tuple[Engine, ...] = ("mariadb", "sqlite")
NAMES = ("domaeka", "domaeka_oldest", "kkobot")
_FOLDER = Path(__file__).parent


def legacy(name: str, engine: Engine) -> str:
    """The script that makes such a database out of an empty one, with a few rows in each table."""
    return "".join((_FOLDER / f"{name}.{part}.sql").read_text("utf-8") for part in (engine, "rows"))

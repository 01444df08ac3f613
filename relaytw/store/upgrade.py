"""Brings a database to the tables that this version works with."""

from __future__ import annotations

from sqlalchemy import create_engine

from relaytw.store.schema import metadata
from relaytw.store.urls import DatabaseUrl, Engine


def prepare(url: DatabaseUrl) -> None:
    """Create the tables of an empty database.  Blocks; for the time before the reactor runs."""
    if url.engine is Engine.SQLITE:
        url.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{url.path}")
        metadata.create_all(engine)
        engine.dispose()

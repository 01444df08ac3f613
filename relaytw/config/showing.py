"""What a configuration says, key by key, fit to be seen by anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from relaytw.config.loading import MASK, Origins, origin_of
from relaytw.config.model import SECRET_KEYS, Config


class Shown(NamedTuple):
    """One key, its value (masked if it is secret) and where that was given; else "default"."""

    key: str
    value: Any
    origin: str


def shown(config: Config, origins: Origins) -> list[Shown]:
    """Every key of a configuration, in the order of the documentation."""
    return list(_keys(config, [], origins))


def _keys(model: BaseModel, above: list[str], origins: Origins) -> Iterator[Shown]:
    for name in type(model).model_fields:
        value, location = getattr(model, name), [*above, name]
        if isinstance(value, BaseModel):
            yield from _keys(value, location, origins)
        elif isinstance(value, dict) and any(isinstance(inner, BaseModel) for inner in value.values()):
            for inner_name, inner in value.items():
                yield from _keys(inner, [*location, inner_name], origins)
        else:
            masked = MASK if name in SECRET_KEYS and value else value
            yield Shown(".".join(location), masked, origin_of(location, origins))

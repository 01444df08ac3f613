"""What values of the configuration may be, and the tables that hold them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def number(value: object) -> object:
    """The value as it is.  Raises ValueError for a boolean."""
    # To Python true is 1; in a configuration it is a mistake.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 (pydantic wants ValueError)
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(number)]
CountOrNone = Annotated[int, Field(ge=0), BeforeValidator(number)]
# Infinity is a TOML float, and no time that a reactor could wait for.
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(number)]
SecondsOrNone = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(number)]
Percent = Annotated[float, Field(gt=0, le=100), BeforeValidator(number)]


class Section(BaseModel):
    """A table of the file: frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

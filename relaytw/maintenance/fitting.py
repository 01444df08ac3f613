"""Makes rows of one database fit into the tables of another, and says what that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from relaytw.maintenance.access import MaintenanceError
from relaytw.maintenance.rows import Value
from relaytw.messages import Status
from relaytw.store.inspection import FoundColumn, FoundTable, Kind
from relaytw.store.judgement import OTHER_NAMES
from relaytw.store.layout import MESSAGE, Layout
from relaytw.store.urls import Engine

#: What a status becomes where the column knows no such word: nobody is let in by a restore.
_SAFE = {("kb_bot_devices", "status"): Status.DENIED, ("kb_rooms", "status"): Status.DENIED}

Note = Callable[[str], None]


class Fitting:
    """The rows of one table, made to fit; `columns` are those of the target, `left_out` have no place there.

    `notes` counts what had to be changed, by a sentence on it.
    """

    def __init__(self, table: FoundTable, columns: Sequence[str], layout: Layout, engine: Engine) -> None:
        self.notes: Counter[str] = Counter()
        self._table, self._layout = table, layout
        places = [(place, self._target(name, columns)) for place, name in enumerate(columns)]
        self.left_out = [columns[place] for place, column in places if column is None]
        self._kept = [(place, column) for place, column in places if column is not None]
        self.columns = [column.name for _, column in self._kept]
        self._strict = engine is Engine.MYSQL
        self._instead = layout.nulls.get(table.name, {})
        self._owed = [
            (name, value)
            for name, value in layout.owed.get(table.name, {}).items()
            if name not in self.columns
        ]
        self.columns += [name for name, _ in self._owed]
        self._flag = self.columns.index("is_cut") if "is_cut" in self.columns else None

    def row(self, values: Sequence[Value]) -> list[object]:
        """A row as it is stored there.  Raises MaintenanceError for what would be lost without a trace."""
        cut = False
        fitted: list[object] = []
        for place, column in self._kept:
            value, shortened = self._value(column, values[place])
            cut = cut or shortened
            fitted.append(value)
        fitted += [value for _, value in self._owed]
        if cut and self._flag is not None:
            fitted[self._flag] = 1
        return fitted

    def _target(self, name: str, columns: Sequence[str]) -> FoundColumn | None:
        column = self._table.columns.get(name)
        if column is None:
            column = next(
                (
                    self._table.columns.get(other)
                    for other in self._aliases(name)
                    if other in self._table.columns and other not in columns
                ),
                None,
            )
        return None if column is None or column.computed else column

    def _aliases(self, name: str) -> list[str]:
        pairs = [(ours, theirs) for (table, ours), theirs in OTHER_NAMES.items() if table == self._table.name]
        return [theirs for ours, theirs in pairs if ours == name] + [
            ours for ours, theirs in pairs if theirs == name
        ]

    def _value(self, column: FoundColumn, value: Value) -> tuple[object, bool]:
        name = f"{self._table.name}.{column.name}"
        if value is None and not column.nullable and column.name in self._instead:
            instead = self._instead[column.name]
            self.notes[f"{name} may not be empty there: {instead!r} is written"] += 1
            return instead, False
        if not self._strict or not isinstance(value, str) or column.kind is not Kind.TEXT:
            return value, False
        if column.words and not _among(value, column):
            return self._word(name, column, value), False
        return self._text(name, value)

    def _word(self, name: str, column: FoundColumn, value: str) -> object:
        safe = _SAFE.get((self._table.name, column.name))
        if safe is None and not column.nullable:
            raise MaintenanceError(
                f"{name} cannot be {value!r} there; it is one of {', '.join(column.words)}"
            )
        self.notes[f"{name} cannot be {value!r} there: {str(safe) if safe else 'nothing'} is written"] += 1
        return None if safe is None else str(safe)

    def _text(self, name: str, value: str) -> tuple[object, bool]:
        text, cut = self._layout.fit(name, value)
        if cut and name != MESSAGE:
            raise MaintenanceError(f"{name} holds less than the {len(value):,} characters of {value[:40]!r}…")
        if cut:
            self.notes[f"{name} is shorter there: the message is cut"] += 1
        elif text != value:
            self.notes[f"{name} has no letters there for some of the text: marks are written"] += 1
        return text, cut


def _among(value: str, column: FoundColumn) -> bool:
    # A SET holds several of its words.
    parts = value.split(",") if column.type.upper().startswith("SET") else [value]
    return all(part in column.words for part in parts if part or len(parts) == 1)

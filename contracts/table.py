"""Declaration of a table: grain, key and ordered columns."""

from dataclasses import dataclass

from contracts.columns import COLUMNS, Column


@dataclass(frozen=True)
class Table:
    """A table: `name` is `<zone>.<table>`; `grain` completes "One row per …".

    A write replaces the dates of a table with `partition_by`, and merges the rows of a table with
    `interval` by key. `interval` names the columns of the first and the last instant of a row.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    column_names: tuple[str, ...]
    partition_by: str | None = None
    also_nullable: tuple[str, ...] = ()
    never_null: tuple[str, ...] = ()
    interval: tuple[str, str] | None = None

    @property
    def zone(self) -> str:
        """Return the zone: processed, sandbox, staging, production or serving."""
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        """Return the name inside the zone."""
        return self.name.split(".")[1]

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the columns that are neither in the key nor in the interval."""
        return tuple(c for c in self.column_names if c not in (*self.key, *(self.interval or ())))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the declared columns, in order."""
        return tuple(COLUMNS[name] for name in self.column_names)

    def is_nullable(self, column: str) -> bool:
        """Return whether `column` may be null in this table."""
        declared = COLUMNS[column].nullable and column not in self.never_null
        return declared or column in self.also_nullable

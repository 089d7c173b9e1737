"""Rules of a stored table, without those that the store enforces at write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from contracts.render.to_gx import Rule
from contracts.tables import Table
from expectations.checkpoint import Batch
from expectations.comparison import quotable_key, schema_batch
from warehouse import schema_check

_KEY_RULES: Final = ("ExpectColumnValuesToBeUnique", "ExpectCompoundColumnsToBeUnique")
_UNIQUE: Final = """
select array(
    select a.attname::text from pg_attribute as a
    where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
)
from pg_index as i
where i.indrelid = to_regclass(%s) and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null
"""


@dataclass(frozen=True)
class Stored:
    """The stored schema of a table: the type of each column in order, and the enforced rules."""

    types: Mapping[str, str]
    not_null: frozenset[str] = frozenset()
    unique: tuple[frozenset[str], ...] = ()

    @classmethod
    def of_frame(cls, frame: Any) -> Self:
        """Return the schema of a Spark frame; an Iceberg table refuses only nulls."""
        required = frozenset(field.name for field in frame.schema if not field.nullable)
        return cls(dict(frame.dtypes), required)

    @classmethod
    def in_postgres(cls, connection: Any, relation: str) -> Self:
        """Return the schema of a Postgres relation."""
        columns = schema_check.columns(connection, relation)
        unique = connection.execute(_UNIQUE, (relation,)).fetchall()
        return cls(
            {name: kind for name, kind, _ in columns},
            frozenset(name for name, _, is_nullable in columns if not is_nullable),
            tuple(frozenset(names) for (names,) in unique),
        )

    def enforces(self, rule: Rule) -> bool:
        """Return whether the store enforces a rule."""
        if rule.kind == "ExpectColumnValuesToNotBeNull":
            return rule.column in self.not_null
        if rule.kind in _KEY_RULES:
            key = {rule.column} if rule.column else set(rule.arguments["column_list"])
            return any(names <= key for names in self.unique)
        return False


def table_batches(
    table: Table, data: Any, stored: Stored, declared: Mapping[str, str], rules: tuple[Rule, ...]
) -> list[Batch]:
    """Return the batch of column types, and the batch of rows with the rules to check."""
    broken = tuple(rule for rule in rules if not stored.enforces(rule))
    return [
        schema_batch(table.name, declared.items(), stored.types.items()),
        Batch(table.name, data, broken, quotable_key(table)),
    ]

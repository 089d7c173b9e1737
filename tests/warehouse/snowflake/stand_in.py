"""fakesnow in place of Snowflake: what it cannot do, or does slowly, is done otherwise."""

import gc
import inspect
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from fakesnow import arrow, server, transforms  # the function: before its module takes the name
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.dialect import parse_one
from fakesnow.server import shared_fs
from fakesnow.transforms import stage
from fakesnow.transforms.transforms import describe_table
from snowflake.connector import errors
from sqlglot import Expr, exp

_COLUMNS = """
    column_name as "name",
    case column_type
        when 'BIGINT' then 'NUMBER(38,0)'
        when 'VARCHAR' then 'VARCHAR(16777216)'
        when 'DOUBLE' then 'FLOAT'
        when 'TIMESTAMP' then 'TIMESTAMP_NTZ(9)'
        when 'TIMESTAMP WITH TIME ZONE' then 'TIMESTAMP_TZ(9)'
        when 'JSON' then 'VARIANT'
        else replace(column_type, 'DECIMAL', 'NUMBER')
    end as "type",
    'COLUMN' as "kind",
    "null"[1] as "null?"
    from (describe {})"""
_execute = FakeSnowflakeCursor.execute
_explode = FakeSnowflakeCursor._transform_explode
_timestamps = arrow.timestamp_to_sf_struct
_ASKED: dict[CodeType, tuple[type, ...]] = {}
"""What functions that transform a tree look at."""

_last = threading.local()
"""The tree that was transformed last, and the kinds of its nodes."""


@contextmanager
def listening() -> Iterator[dict[str, Any]]:
    """Start the server and yield how to log in."""
    # It cannot read comments that hold an apostrophe, nor any on columns.
    shared_fs.nop_regexes = [r"\s*comment on ", r"(?s)\s*alter\s+table .*\scomment \$\$"]
    # It would keep the tree and the rows of each statement, and Python look through all of them.
    shared_fs.results_cache = _Forgetful()
    # No table is of a size that is worth a second one.
    shared_fs.duck_conn.execute("set threads = 1")
    trees: dict[str, Expr] = {}
    changes: dict[str, Callable[..., Any]] = {
        "fakesnow.cursor.FakeSnowflakeCursor.execute": _executed,
        "fakesnow.cursor.FakeSnowflakeCursor._transform_explode": _exploded,
        "fakesnow.cursor.FakeSnowflakeCursor._describe_last_sql": _described,
        "fakesnow.arrow.timestamp_to_sf_struct": _with_nulls,
        # It sums decimals as doubles, in case they were text.
        "fakesnow.transforms.numeric_agg_implicit_cast": lambda expression: expression,
        # The server reads a statement for its kind, then the cursor to run it.
        "fakesnow.server.parse_one": lambda text: trees.setdefault(text, parse_one(text)),
        "fakesnow.cursor.parse_one": lambda text: trees.pop(text, None) or parse_one(text),
        "fakesnow.transforms.describe_table": _table_described,
        "sqlglot.expressions.Expression.transform": _transformed,
    }
    for talkative in ("fakesnow.server", "uvicorn.access"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    thresholds = gc.get_threshold()
    with ExitStack() as stack:
        # Trees are many and small, and what dbt read of its project is large.
        gc.set_threshold(50_000, 20, 100)
        stack.callback(gc.set_threshold, *thresholds)
        for name, change in changes.items():
            stack.enter_context(patch(name, change))
        yield stack.enter_context(server())
    shutil.rmtree(stage.LOCAL_BUCKET_PATH, ignore_errors=True)


class _Forgetful(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        """Keep nothing."""


def _executed(*args: Any, **kwargs: Any) -> Any:
    """Run a statement; an error of any kind is the client's to read."""
    try:
        return _execute(*args, **kwargs)
    except errors.Error:
        raise
    except Exception as error:
        # It would answer 500, which clients take for a reason to ask again for ever.
        raise errors.ProgrammingError(msg=str(error), errno=1, sqlstate="XX000") from error


def _exploded(cursor: FakeSnowflakeCursor, statement: Expr) -> list[Expr]:
    """Return the statements to run for one; it cannot swap two tables, and renames them here."""
    swap = statement.find(exp.SwapTable)
    if swap is None:
        return _explode(cursor, statement)
    one, other = statement.this, swap.this
    aside = exp.table_("swapped", one.args.get("db"), one.args.get("catalog"))
    renames = ((one, aside), (other, one), (aside, other))
    return [exp.rename_table(old.copy(), new.copy()) for old, new in renames]


def _described(cursor: FakeSnowflakeCursor) -> list[Any]:
    """Return the columns of the last result; it would translate once more what it has."""
    statement = f"describe {cursor._last_sql}"
    return cursor._duck_conn.execute(statement, cursor._last_params).fetchall()


def _table_described(
    expression: Expr, database: str | None = None, schema: str | None = None
) -> Expr:
    """Return the query that tells a table's columns; it would look through those of all tables."""
    table = expression.find(exp.Table)
    kind = str(expression.args.get("kind")).upper()
    if not isinstance(expression, exp.Describe) or kind != "TABLE" or table is None:
        return describe_table(expression, database, schema)
    name = exp.table_(table.name, table.db or schema, table.catalog or database, quoted=True)
    return exp.Command(this="select", expression=_COLUMNS.format(name.sql("duckdb")))


def _with_nulls(times: Any) -> pa.StructArray:
    """Return instants as they are sent; it would send 1970 for one that is null."""
    whole = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
    sent = _timestamps(whole)
    return pa.StructArray.from_arrays(sent.flatten(), fields=[*sent.type], mask=whole.is_null())


def _transformed(
    self: Expr, fun: Callable[..., Any], *args: Any, copy: bool = True, **kwargs: Any
) -> Any:
    """Do what sqlglot does, but for functions that ask for nodes of which the tree has none.

    A statement goes through some 75 functions, of which each looks at each node.
    """
    root: Any = self.copy() if copy else self
    asked: tuple[type, ...] = ()
    if fun.__module__.startswith("fakesnow."):
        code = fun.__code__
        if code not in _ASKED:
            _ASKED[code] = _asked(fun)
        asked = _ASKED[code]
    if asked:
        if getattr(_last, "root", None) is not root:
            _last.root, _last.kinds = root, {type(node) for node in root.walk()}
        if not any(issubclass(kind, asked) for kind in _last.kinds):
            return root
    _last.root = None
    kinds, is_as_it_was = set(), True
    nodes, changed = [root], root
    while nodes:
        node = nodes.pop()
        parent, key, index = node.parent, node.arg_key, node.index
        changed = fun(node, *args, **kwargs)
        if changed is node:
            kinds.add(type(node))
            for value in reversed(node.args.values()):
                if type(value) is list:
                    nodes.extend(entry for entry in reversed(value) if isinstance(entry, Expr))
                elif isinstance(value, Expr):
                    nodes.append(value)
        elif node is root:
            return changed
        else:
            is_as_it_was = False
            if parent and key:
                parent.set(key, changed, index)
    if is_as_it_was:
        _last.root, _last.kinds = root, kinds
    return root


def _asked(fun: Callable[..., Any]) -> tuple[type, ...]:
    """Return the classes of nodes that a function of fakesnow looks at, none if it does not say."""
    names = fun.__code__.co_names
    if fun.__name__ == "<lambda>" and names[:1] == ("transforms",):
        fun = getattr(transforms, names[1])
    named = re.findall(r"isinstance\(expression,\s*\(?([^()]*)\)", inspect.getsource(fun))
    classes = re.findall(r"\bexp\.(\w+)", " ".join(named))
    return tuple(getattr(exp, name) for name in classes)

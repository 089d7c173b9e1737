"""Judge batches of data with Great Expectations and say what was seen.

A batch that passes costs one bundled look at its metrics; only the rules that failed are run again
to learn what they saw. Results are kept as files, from which `expectations/docs.py` renders pages.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from contracts.render.to_gx import Rule, to_expectation
from contracts.results import CheckResult, GateResult
from contracts.stages import Gate
from expectations.store import NOT_JUDGED, keep

Engine = Literal["pandas", "spark", "postgres"]

SMALL_ROWS: Final = 100_000
"""Up to here a batch is fetched and judged in memory: a day's Processed gate takes a third of the
time of Spark's dozen jobs a table, and half of it still with 47,328 payments. Beyond, the engine
that holds the rows judges them."""

_QUOTED: Final = 3
"""Unexpected values that a report quotes."""
_WITHHELD: Final = {
    "raised_exception": True,
    "exception_message": "withheld: it may quote values that are personal",
    "exception_traceback": None,
}


@dataclass(frozen=True)
class SqlTable:
    """Rows of a warehouse table: `query` selects them in the database at `dsn`."""

    dsn: str
    query: str

    def __repr__(self) -> str:
        """Leave out the password."""
        return f"SqlTable({self.query!r})"


@dataclass(frozen=True)
class Batch:
    """Rows to judge: a pandas or Spark frame, or a warehouse relation, and the rules for them.

    `label` are columns that tell a row in a report, such as the business date.
    """

    table: str
    data: Any
    rules: tuple[Rule, ...]
    label: tuple[str, ...] = ()
    engine: Engine = "pandas"
    part: str = ""


def load_engine() -> Any:
    """Import Great Expectations, silenced; worth doing once before a process forks."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    return gx


def new_context() -> Any:
    """Return a context in memory that reports to nobody and draws no progress bars."""
    gx = load_engine()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        ),
    )


def judge(
    gate: Gate, window: str, run_id: str, batches: Sequence[Batch], state_dir: Path
) -> GateResult:
    """Validate each batch with its rules and return the gate's judgement, kept under `state_dir`.

    A rule that cannot be evaluated has failed: the gate then says why.
    """
    checks: list[CheckResult] = []
    reports: dict[str, list[Any]] = {}
    judged_at = datetime.now(UTC)
    context = new_context()
    for number, batch in enumerate(batches):
        named = {check_name(batch, rule): rule for rule in batch.rules}
        if len(named) != len(batch.rules):
            raise ValueError(f"two rules on {batch.table} have the same name")
        if not named:
            continue
        results = _validate(context, f"batch_{number}", batch, named)
        checks += [_check(batch, named, item) for item in results]
        reports.setdefault(batch.table, []).extend(results)
    judged = GateResult(str(gate), window, run_id, tuple(checks))
    return keep(state_dir, judged, reports, judged_at)


def check_name(batch: Batch, rule: Rule) -> str:
    """Return the name of a check, unique inside its gate."""
    place = f"{_short(batch.table)}.{batch.part}" if batch.part else _short(batch.table)
    return f"{place}.{rule.column or 'table'}.{rule.what}"


def _short(table: str) -> str:
    return table.split(".")[-1]


def _validate(context: Any, name: str, batch: Batch, named: dict[str, Rule]) -> list[Any]:
    """Run all rules for their verdict, then the failed ones again for what they saw."""
    gx = load_engine()
    rows = _gx_batch(context, name, batch)

    def run(names: Iterable[str], result_format: dict[str, Any] | str) -> list[Any]:
        suite = gx.ExpectationSuite(
            name=name, expectations=[to_expectation(named[n], n) for n in names]
        )
        found: list[Any] = rows.validate(suite, result_format=result_format).results
        return found

    results = run(named, "BOOLEAN_ONLY")
    failed = [_name_of(item) for item in results if not item.success]
    for private in (True, False):
        again = [n for n in failed if named[n].private is private]
        if not again:
            continue
        quoted = 0 if private else _QUOTED
        summary = {"result_format": "SUMMARY", "partial_unexpected_count": quoted}
        if batch.label and not private and batch.engine == "pandas":
            summary["unexpected_index_column_names"] = list(batch.label)
        seen = {_name_of(item): item for item in run(again, summary)}
        if private:
            for item in filter(_exception, seen.values()):
                item.exception_info = _WITHHELD
        results = [seen.get(_name_of(item), item) for item in results]
    return results


def _gx_batch(context: Any, name: str, batch: Batch) -> Any:
    if batch.engine == "postgres":
        connection = batch.data.dsn.replace("postgresql://", "postgresql+psycopg://", 1)
        source = context.data_sources.add_postgres(
            name, connection_string=connection, create_temp_table=False
        )
        asset = source.add_query_asset(batch.table, query=batch.data.query)
        return asset.add_batch_definition_whole_table("all").get_batch()
    source = getattr(context.data_sources, f"add_{batch.engine}")(name)
    asset = source.add_dataframe_asset(batch.table)
    definition = asset.add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": batch.data})


def _name_of(item: Any) -> str:
    return str(item.expectation_config.meta["check"])


def _check(batch: Batch, named: dict[str, Rule], item: Any) -> CheckResult:
    name = _name_of(item)
    rule = named[name]
    return CheckResult(
        name=name,
        table=batch.table,
        severity=rule.severity,
        passed=bool(item.success),
        column=rule.column,
        observed="as expected" if item.success else _observed(batch, rule, item),
        expected=rule.expected,
        reason=rule.reason,
    )


def _observed(batch: Batch, rule: Rule, item: Any) -> str:
    """Say in a few words what a failed rule saw; without values when they may be personal."""
    result = item.result or {}
    if problem := _exception(item):
        return NOT_JUDGED if rule.private else f"{NOT_JUDGED}: {problem}"
    if "unexpected_count" in result:
        text = f"{result['unexpected_count']} of {result.get('element_count', '?')} rows"
        if rule.private:
            return text
        examples = result.get("partial_unexpected_index_list") or [
            value for value in result.get("partial_unexpected_list", ()) if value is not None
        ]
        quoted = ", ".join(_text(example, batch.label) for example in examples[:_QUOTED])
        return f"{text}, such as {quoted}" if quoted else text
    if "column_list" in item.expectation_config.kwargs and "observed_value" in result:
        return _columns(item.expectation_config.kwargs["column_list"], result["observed_value"])
    return str(result.get("observed_value", "a failure"))


def _columns(declared: Sequence[str], found: Sequence[str]) -> str:
    """Say how the columns of a table differ from those declared."""
    missing = [name for name in declared if name not in found]
    foreign = [name for name in found if name not in declared]
    told = [f"without {', '.join(missing)}"] if missing else []
    told += [f"with {', '.join(foreign)}, which nobody declared"] if foreign else []
    return "; ".join(told) or f"in another order: {', '.join(found)}"


def _text(value: Any, first: Sequence[str]) -> str:
    """Write an unexpected value, or a row of it with what tells the row at the front."""
    if not isinstance(value, dict):
        return str(value)
    order = [*(n for n in first if n in value), *(n for n in value if n not in first)]
    return " ".join(f"{name}={value[name]}" for name in order)


def _exception(item: Any) -> str | None:
    """Return the first line of what an expectation raised, or None."""
    info = item.exception_info or {}
    for part in [info, *(v for v in info.values() if isinstance(v, dict))]:
        if part.get("raised_exception"):
            return str(part.get("exception_message")).splitlines()[0][:200]
    return None

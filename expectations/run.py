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
from expectations.store import Report, ResultStore

Engine = Literal["pandas", "spark", "postgres"]

SMALL_ROWS: Final = 10_000
"""Below this a batch is fetched and judged in memory: 0.1 s, where Spark's dozen jobs take 0.8 s
and Postgres 0.3 s however few the rows."""

_QUOTED: Final = 3
"""Unexpected values that a report quotes."""


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
    reports: list[tuple[bool, Report]] = []
    store = ResultStore(state_dir)
    judged_at = datetime.now(UTC)
    context = new_context()
    for number, batch in enumerate(batches):
        named = {check_name(batch, rule): rule for rule in batch.rules}
        if len(named) != len(batch.rules):
            raise ValueError(f"two rules on {batch.table} have the same name")
        if not named:
            continue
        result = _validate(context, f"batch_{number}", batch, named)
        found = [_check(batch, named, item) for item in result.results]
        checks += found
        is_shut = any(not c.passed and c.severity == "critical" for c in found)
        suite = f"{gate}.{_place(batch)}"
        reports.append((is_shut, store.keep(result, suite, window, run_id, judged_at)))
    page = next((r for shut, r in reports if shut), reports[0][1] if reports else None)
    return GateResult(str(gate), window, run_id, tuple(checks), str(page.page) if page else None)


def check_name(batch: Batch, rule: Rule) -> str:
    """Return the name of a check, unique inside its gate."""
    return f"{_place(batch)}.{rule.column or 'table'}.{rule.what}"


def _place(batch: Batch) -> str:
    name = batch.table.split(".")[-1]
    return f"{name}.{batch.part}" if batch.part else name


def _validate(context: Any, name: str, batch: Batch, named: dict[str, Rule]) -> Any:
    """Run all rules for their verdict, then the failed ones again for what they saw."""
    gx = load_engine()
    rows = _gx_batch(context, name, batch)

    def run(names: Iterable[str], result_format: dict[str, Any] | str) -> Any:
        suite = gx.ExpectationSuite(
            name=name, expectations=[to_expectation(named[n], n) for n in names]
        )
        return rows.validate(suite, result_format=result_format)

    result = run(named, "BOOLEAN_ONLY")
    failed = [_name_of(item) for item in result.results if not item.success]
    for private in (True, False):
        again = [n for n in failed if named[n].private is private]
        if not again:
            continue
        quoted = 0 if private else _QUOTED
        summary = {"result_format": "SUMMARY", "partial_unexpected_count": quoted}
        if batch.label and not private and batch.engine == "pandas":
            summary["unexpected_index_column_names"] = list(batch.label)
        seen = {_name_of(item): item for item in run(again, summary).results}
        result.results = [seen.get(_name_of(item), item) for item in result.results]
    return result


def _gx_batch(context: Any, name: str, batch: Batch) -> Any:
    if batch.engine == "postgres":
        connection = batch.data.dsn.replace("postgresql://", "postgresql+psycopg://", 1)
        source = context.data_sources.add_sql(
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
        observed="as expected" if item.success else _observed(rule, item),
        expected=rule.expected,
        reason=rule.reason,
    )


def _observed(rule: Rule, item: Any) -> str:
    """Say in a few words what a failed rule saw; without values when they may be personal."""
    result = item.result or {}
    if problem := _exception(item):
        return "values that could not be judged" if rule.private else f"not judged: {problem}"
    if "unexpected_count" in result:
        text = f"{result['unexpected_count']} of {result.get('element_count', '?')} rows"
        if rule.private:
            return text
        examples = result.get("partial_unexpected_index_list") or [
            value for value in result.get("partial_unexpected_list", ()) if value is not None
        ]
        return f"{text}, such as {', '.join(map(_text, examples[:_QUOTED]))}" if examples else text
    if "details" in result and "mismatched" in result["details"]:
        pairs = result["details"]["mismatched"]
        return "; ".join(
            f"{pair.get('Found')} where {pair.get('Expected')} belongs" for pair in pairs[:_QUOTED]
        )
    return str(result.get("observed_value", "a failure"))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(part)}" for key, part in value.items())
    return str(value)


def _exception(item: Any) -> str | None:
    """Return the first line of what an expectation raised, or None."""
    info = item.exception_info or {}
    for part in [info, *(v for v in info.values() if isinstance(v, dict))]:
        if part.get("raised_exception"):
            return str(part.get("exception_message")).splitlines()[0][:200]
    return None

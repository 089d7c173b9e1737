"""Judge batches of data with Great Expectations and say what was seen.

A batch is a small frame, or what a store has counted of many rows. A batch that passes costs one
bundled look at its metrics; only the rules that failed are run again to learn what they saw.
Results are kept as files, from which `expectations/docs.py` renders pages.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from contracts.render.to_gx import Rule, is_private, to_expectation
from contracts.results import CheckResult, GateResult
from contracts.stages import Gate
from contracts.tables import Table
from expectations.counted import Counts, Relation, count
from expectations.store import NOT_JUDGED, keep

_QUOTED: Final = 3
"""Unexpected values that a report quotes."""
_WITHHELD: Final = {
    "raised_exception": True,
    "exception_message": "withheld: it may quote values that are personal",
    "exception_traceback": None,
}
_UNCOUNTED: Final = {
    "raised_exception": True,
    "exception_message": "a column is missing or not of the declared type",
    "exception_traceback": None,
}


@dataclass(frozen=True)
class Batch:
    """A small pandas frame to judge and the rules for it, or the `counts` of rows elsewhere.

    `label` are columns that tell a row in a report, such as the business date.
    """

    table: str
    data: Any
    rules: tuple[Rule, ...]
    label: tuple[str, ...] = ()
    part: str = ""
    counts: Counts | None = None


def counted_batch(
    table: Table, relation: Relation, declared: Mapping[str, str], rules: tuple[Rule, ...]
) -> Batch:
    """Have a store count what the rules of a table refuse; `declared` are its types there."""
    named = {rule_name(table.name, "", rule): rule for rule in rules}
    label = tuple(name for name in table.key if not is_private(name))
    counts = count(relation, named, declared, label, _QUOTED)
    return Batch(table.name, None, rules, label, counts=counts)


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
        judged = _judge_counts if batch.counts else _validate
        results = judged(context, f"batch_{number}", batch, named)
        checks += [_check(batch, named, item) for item in results]
        reports.setdefault(batch.table, []).extend(results)
    verdict = GateResult(str(gate), window, run_id, tuple(checks))
    return keep(state_dir, verdict, reports, judged_at)


def check_name(batch: Batch, rule: Rule) -> str:
    """Return the name of a check, unique inside its gate."""
    return rule_name(batch.table, batch.part, rule)


def rule_name(table: str, part: str, rule: Rule) -> str:
    """Return `<table>[.<part>].<column>.<what>`."""
    place = f"{_short(table)}.{part}" if part else _short(table)
    return f"{place}.{rule.column or 'table'}.{rule.what}"


def _short(table: str) -> str:
    return table.split(".")[-1]


def _validate(context: Any, name: str, batch: Batch, named: dict[str, Rule]) -> list[Any]:
    """Run all rules for their verdict, then the failed ones again for what they saw."""
    gx = load_engine()
    rows = _gx_batch(context, name, batch.table, batch.data)

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
        if batch.label and not private:
            summary["unexpected_index_column_names"] = list(batch.label)
        seen = {_name_of(item): item for item in run(again, summary)}
        if private:
            for item in filter(_exception, seen.values()):
                item.exception_info = _WITHHELD
        results = [seen.get(_name_of(item), item) for item in results]
    return results


def _judge_counts(context: Any, name: str, batch: Batch, named: dict[str, Rule]) -> list[Any]:
    """Judge the counts of rows that a store refuses, a column a check; all must be zero.

    Each result is kept as that of the rule itself, with what was counted and, where values may be
    quoted, a few of the rows.
    """
    import pandas as pd

    gx = load_engine()
    counts = batch.counts
    assert counts is not None  # noqa: S101 - `judge` asks
    frame = pd.DataFrame({check: [number] for check, number in counts.refused.items()})
    rows = _gx_batch(context, name, batch.table, frame)
    suite = gx.ExpectationSuite(
        name=name,
        expectations=[
            gx.expectations.ExpectColumnMaxToBeBetween(
                column=check,
                min_value=0,
                max_value=0,
                severity=rule.severity,
                meta={"check": check},
            )
            for check, rule in named.items()
        ],
    )
    results: list[Any] = rows.validate(suite, result_format="BOOLEAN_ONLY").results
    for item in results:
        check = _name_of(item)
        rule = named[check]
        item.expectation_config = to_expectation(rule, check).configuration
        if item.success:
            continue
        if check not in counts.refused:
            item.exception_info = _UNCOUNTED
        elif "column_list" in rule.arguments and rule.column is None and rule.what == "columns":
            item.result = {"observed_value": list(counts.columns)}
        elif rule.what == "not_empty":
            item.result = {"observed_value": counts.rows}
        else:
            item.result = {
                "element_count": counts.rows,
                "unexpected_count": counts.refused[check],
                "partial_unexpected_index_list": [] if rule.private else counts.quote(rule),
            }
    return results


def _gx_batch(context: Any, name: str, table: str, frame: Any) -> Any:
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(table)
    definition = asset.add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": frame})


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

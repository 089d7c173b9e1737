"""Check the batches of a gate, and describe the observed values.

Great Expectations evaluates each rule. Its results are stored as files, from which
`expectations/docs.py` renders pages.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.printable import printable
from contracts.render.to_gx import Rule, shown
from contracts.results import CheckResult, GateResult
from contracts.stages import Gate
from contracts.windows import Window
from expectations.checkpoint import QUOTED, Batch, check_of, exception_of, validate
from expectations.store import NOT_EVALUATED, save


def evaluate(
    gate: Gate, window: Window, run_id: str, batches: Sequence[Batch], state_dir: Path
) -> GateResult:
    """Validate each batch with its rules and return the gate result, stored under `state_dir`.

    A rule that cannot be evaluated fails with the reason.
    """
    checked_at = datetime.now(UTC)
    checks: list[CheckResult] = []
    reports: dict[str, list[Any]] = {}
    for batch, results in zip(batches, validate(str(gate), batches), strict=True):
        rules = batch.named_rules
        checks += [_check(batch, rules[check_of(item)], item) for item in results]
        reports.setdefault(batch.table, []).extend(results)
    gate_result = GateResult(str(gate), window, run_id, tuple(checks))
    return save(state_dir, gate_result, reports, checked_at)


def _check(batch: Batch, rule: Rule, item: Any) -> CheckResult:
    return CheckResult(
        name=check_of(item),
        table=batch.table,
        severity=rule.severity,
        passed=bool(item.success),
        column=rule.column,
        observed="as expected" if item.success else printable(_observed(batch, rule, item)),
        expected=rule.expected,
        reason=rule.reason,
        sentence=None if item.success else batch.sentences.get(rule.what),
    )


def _observed(batch: Batch, rule: Rule, item: Any) -> str:
    """Return a short text of the observed values of a failed rule, without personal values."""
    result = item.result or {}
    if problem := exception_of(item):
        return NOT_EVALUATED if rule.private else f"{NOT_EVALUATED}: {problem}"
    if "unexpected_count" in result:
        text = f"{result['unexpected_count']} of {result.get('element_count', '?')} rows"
        if rule.private:
            return text
        examples = _examples(rule, result)
        quoted = ", ".join(_text(example, batch.label) for example in examples[:QUOTED])
        if quoted and result.get("element_count") == 1:
            return quoted
        return f"{text}, such as {quoted}" if quoted else text
    if "column_list" in item.expectation_config.kwargs and "observed_value" in result:
        return _columns(item.expectation_config.kwargs["column_list"], result["observed_value"])
    return str(result.get("observed_value", "a failure"))


def _examples(rule: Rule, result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return unexpected rows with their label columns or, without a label, unexpected values."""
    rows = result.get("partial_unexpected_index_list") or ()
    # Without a label, Great Expectations gives the positions of the rows in the frame.
    examples: list[Mapping[str, Any]] = [row for row in rows if isinstance(row, dict)]
    if examples:
        return examples
    names = [rule.arguments[n] for n in ("column_A", "column_B") if n in rule.arguments]
    for value in result.get("partial_unexpected_list", ()):
        if names and isinstance(value, list | tuple):
            examples.append(dict(zip(names, value, strict=True)))
        elif value is not None and rule.column:
            examples.append({rule.column: value})
    return examples


def _columns(declared: Sequence[str], stored: Sequence[str]) -> str:
    """Return a text of the differences between stored and declared columns."""
    missing = [name for name in declared if name not in stored]
    foreign = [name for name in stored if name not in declared]
    differences = [f"without {', '.join(missing)}"] if missing else []
    if foreign:
        differences.append(f"with {', '.join(foreign)}, which is not declared")
    return "; ".join(differences) or f"in another order: {', '.join(stored)}"


def _text(row: Mapping[str, Any], first: Sequence[str]) -> str:
    """Return an unexpected row as text, with its label columns first."""
    order = [*(n for n in first if n in row), *(n for n in row if n not in first)]
    return " ".join(f"{name}={shown(name, row[name])}" for name in order)

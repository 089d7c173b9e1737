"""The page of one table in one gate result: failed checks, observed values and reasons."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from contracts.render.to_gx import CRITICAL
from contracts.results import CheckResult
from expectations.pages.markup import (
    MARKS,
    Html,
    count,
    join,
    moment,
    page,
    pill,
    row,
    table,
    tag,
)
from expectations.store import NOT_EVALUATED, StoredResult, TableVerdict

_ROOT: Final = "../../../../../"
_PARTS: Final = {
    "": ("Rows", "each row of the table"),
    "types": ("Column types", "as declared in contracts/ and as stored"),
    "balances": ("Balances", "rows and money in, out, quarantined and repeated"),
    "run": ("The run", "the dates that it reports"),
    "days": ("Days", "each business date and source"),
    "profile": ("Days and their past", "each day compared with earlier days of its source"),
    "delivery": ("Delivery", "the delivered rows, compared with the request"),
    "window": ("Window", "each requested date, with the rows of the table"),
    "month": ("Month", "the window as a whole"),
    "lake": ("Against the lake", "the loaded rows and the snapshot they come from"),
    "copy": ("While copying", "the differences that the loader found"),
    "staging": ("Against STAGING", "the fact and its origin, by day"),
    "keys": ("Keys", "each key of a fact has its dimension"),
    "facts": ("Against the facts", "the report and the facts that it sums"),
    "manifests": ("Manifests", "the deliveries according to their manifests"),
    "objects": ("Objects", "each file in Raw"),
    "batch": ("Batch", "the scores as a whole"),
}
"""Heading and description of each part of a gate."""
_ENGINES: Final = {"pandas": "pandas", "spark": "Spark", "postgres": "Postgres"}


def verdict_of(verdict: TableVerdict) -> str:
    """Return the verdict of a table as shown on the pages."""
    return "closed" if verdict.failed else "warned" if verdict.warned else "open"


def table_links(result: StoredResult, root: str, here: str = "") -> Html:
    """Return a link to the page of each table, with its verdict; `here` is the current page."""
    links = [
        tag(
            "a",
            verdict.table.split(".")[-1],
            href=f"{root}{verdict.page}",
            class_=f"{verdict_of(verdict)}{' here' if verdict.table == here else ''}",
        )
        for verdict in result.tables
    ]
    return tag("span", *(join(link, " ") for link in links), class_="tables")


def ranked(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """Return failed checks, critical ones first, those that could not be evaluated last.

    A missing column fails one check, and the rules on it cannot be evaluated.
    """
    return sorted(
        checks,
        key=lambda c: (c.severity != CRITICAL, (c.observed or "").startswith(NOT_EVALUATED)),
    )


def facts(check: CheckResult) -> Html:
    """Return the observed and the expected value of a failed check, and its reason."""
    return tag(
        "dl",
        *(tag("dt", "Observed"), tag("dd", check.observed or "")),
        *(tag("dt", "Expected"), tag("dd", check.expected or "")),
        *(tag("dt", "Why"), tag("dd", check.reason or "")),
    )


def table_page(result: StoredResult, verdict: TableVerdict, document: Mapping[str, Any]) -> str:
    """Return the page of one table from its stored validation results."""
    checks = [CheckResult(**check) for check in document["meta"]["checks"]]
    rules = {_name_of(item): item for item in document["results"]}
    failed = ranked(check for check in checks if not check.passed)
    passed = [check for check in checks if check.passed]
    summary = f"{len(passed)} of {count(len(checks), 'check')} passed"
    return page(
        f"{verdict.table}, gate {result.gate}, {result.window}",
        tag("h1", verdict.table, pill(verdict_of(verdict))),
        tag("p", f"Gate {result.gate} on window {result.window}: {summary}.", class_="lead"),
        tag("p", f"Checked {moment(result.judged_at)} UTC in run {result.run_id}", class_="quiet"),
        tag("p", "Tables of this gate result: ", table_links(result, _ROOT, verdict.table)),
        *([tag("h2", "Failed")] if failed else []),
        *(_failure(check, rules[check.name]) for check in failed),
        *([tag("h2", "Passed", tag("small", f"{len(passed)}"))] if passed else []),
        *_passed(passed, rules, verdict.table),
        root=_ROOT,
        trail=(("Data docs", "index.html"), (f"gate {result.gate}", f"{result.gate}.html")),
        here=result.window,
    )


def _name_of(item: Mapping[str, Any]) -> str:
    return str(item["expectation_config"]["meta"]["check"])


def _part_of(check: CheckResult) -> str:
    """Return the part of a check `<table>[.<part>].<column>.<what>`."""
    _, *middle, _, _ = check.name.split(".")
    return middle[0] if middle else ""


def _failure(check: CheckResult, rule: Mapping[str, Any]) -> Html:
    verdict = "closed" if check.severity == CRITICAL else "warned"
    title, _ = _PARTS.get(_part_of(check), (_part_of(check), ""))
    return tag(
        "section",
        tag(
            "h3",
            tag("span", MARKS[verdict], class_=f"mark {verdict}"),
            tag("code", check.name),
            tag("small", f"{check.severity} · {title} · evaluated by {_engine(rule)}"),
        ),
        facts(check),
        _examples(rule["result"].get("partial_unexpected_index_list") or []),
        _rule(rule),
        class_="failure" if verdict == "closed" else "failure mild",
    )


def _examples(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Return the examples of a rule, unless they are shown already or withheld."""
    if len(rows) < 2:
        return Html()
    names = tuple(dict.fromkeys(name for example in rows for name in example))
    lines = [row(*(str(example.get(name, "")) for name in names)) for example in rows]
    return table(names, lines)


def _passed(
    checks: Sequence[CheckResult], rules: Mapping[str, Mapping[str, Any]], name: str
) -> list[Html]:
    """Return the passed checks by part."""
    shown = []
    for part in dict.fromkeys(map(_part_of, checks)):
        title, words = _PARTS.get(part, (part, ""))
        of_part = [check for check in checks if _part_of(check) == part]
        words = f"{words}; evaluated by {_engine(rules[of_part[0].name])}"
        lines = [
            row(
                tag("td", MARKS["open"], class_="open"),
                _short(check, name),
                check.expected or "",
                check.reason or "",
                _rule(rules[check.name]),
            )
            for check in of_part
        ]
        head = ("", "Check", "Expected", "Why", "Rule")
        shown += [tag("h3", title, tag("small", words)), table(head, lines, "checks")]
    return shown


def _engine(item: Mapping[str, Any]) -> str:
    """Return the engine in which Great Expectations evaluated a rule."""
    # Results of an earlier version have no engine.
    return _ENGINES.get(item["expectation_config"]["meta"].get("engine"), "an earlier version")


def _short(check: CheckResult, name: str) -> Html:
    """Return the name of a check without the table, which is the title of the page."""
    return tag("code", check.name.removeprefix(f"{name.split('.')[-1]}."))


def _rule(item: Mapping[str, Any]) -> Html:
    """Return the configuration of the expectation, with which it can be run again."""
    config = item["expectation_config"]
    arguments = {k: v for k, v in config["kwargs"].items() if k != "batch_id"}
    lines = "\n".join(f"{key} = {value}" for key, value in arguments.items())
    return tag(
        "details",
        tag("summary", tag("code", str(config["type"]).removeprefix("expect_"))),
        join(tag("pre", lines)),
    )

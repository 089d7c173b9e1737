"""The first page of the data docs, and the history of each gate."""

from collections.abc import Iterable, Sequence
from typing import Final

from contracts.render.to_gx import CRITICAL
from contracts.results import CheckResult
from contracts.stages import Gate
from expectations.pages.markup import MARKS, WORDS, Html, count, moment, page, pill, row, table, tag
from expectations.pages.table import facts, ranked, table_links
from expectations.store import StoredResult

_SHOWN_WINDOWS: Final = 40
_SHOWN_HISTORY: Final = 40
_SHOWN_CHECKS: Final = 5
_SHOWN_WARNINGS: Final = 10
_ORDER: Final = [str(gate) for gate in Gate]
_HEAD: Final = ("Verdict", "Checks passed", "Checked (UTC)", "Tables")


def verdict_of(result: StoredResult) -> str:
    """Return the verdict of a gate result as shown on the pages."""
    if not result.passed:
        return "closed"
    return "warned" if result.failed else "open"


def index_page(results: Sequence[StoredResult]) -> str:
    """Return the index page from all gate results, oldest first: closed gates, then the others."""
    latest = list({(r.gate, r.window): r for r in results}.values())
    closed = [r for r in reversed(latest) if not r.passed]
    warned = [r for r in reversed(latest) if r.passed and r.failed]
    return page(
        "All gates",
        tag("h1", "Data docs"),
        tag("p", _summary(latest, closed, warned), class_="lead"),
        tag("p", "The expectations of each gate and their results.", class_="quiet"),
        *([tag("h2", "Closed gates"), *map(_closed, closed)] if closed else []),
        tag("h2", "Gates", tag("small", "in the order in which data passes them")),
        _gates(results),
        *_windows(latest),
        *_warnings(warned),
    )


def gate_page(gate: str, results: Sequence[StoredResult]) -> str:
    """Return the history of one gate, newest first."""
    mine = [r for r in reversed(results) if r.gate == gate]
    shut = sum(not r.passed for r in mine)
    lines = [row(tag("th", r.window, scope="row"), *_cells(r)) for r in mine]
    return page(
        f"Gate {gate}",
        tag("h1", f"Gate {gate}"),
        tag("p", f"{count(len(mine), 'result')}, {shut} of them closed.", class_="lead"),
        table(("Window", *_HEAD), lines),
        trail=(("Data docs", "index.html"),),
        here=f"gate {gate}",
    )


def gates_of(results: Iterable[StoredResult]) -> list[str]:
    """Return the gates with results, in flow order."""
    return sorted({r.gate for r in results}, key=_rank)


def _rank(gate: str) -> tuple[int, str]:
    return (_ORDER.index(gate) if gate in _ORDER else len(_ORDER), gate)


def _summary(
    latest: Sequence[StoredResult], closed: Sequence[StoredResult], warned: Sequence[StoredResult]
) -> str:
    if not latest:
        return "No gate has run yet."
    warnings = sum(len(r.failed) for r in warned)
    suffix = f", with {count(warnings, 'warning')}" if warnings else ""
    windows = count(len({r.window for r in latest}), "window")
    if closed:
        are = "is" if len(closed) == 1 else "are"
        return f"{len(closed)} of {len(latest)} gates {are} closed, over {windows}{suffix}."
    return f"All {len(latest)} gates over {windows} are open{suffix}."


def _closed(result: StoredResult) -> Html:
    """Return the first critical checks that closed a gate, observed and expected."""
    shut = ranked(check for check in result.failed if check.severity == CRITICAL)
    more = len(shut) - _SHOWN_CHECKS
    return tag(
        "section",
        tag(
            "h3",
            tag("span", MARKS["closed"], class_="mark closed"),
            f"Gate {result.gate} on {result.window}",
            tag("small", f"{moment(result.judged_at)} UTC · run {result.run_id}"),
        ),
        *(_check(check) for check in shut[:_SHOWN_CHECKS]),
        *([] if shut else [tag("p", "It ran no check, and a gate without checks does not pass.")]),
        *([tag("p", f"and {count(more, 'more check')}", class_="quiet")] if more > 0 else []),
        tag("p", _to_report(result, "Open the report")),
        class_="failure",
    )


def _to_report(result: StoredResult, text: str) -> Html:
    """Return a link to the most important page."""
    return tag("a", text, href=result.report.page if result.report else f"{result.gate}.html")


def _check(check: CheckResult) -> Html:
    where = f"{check.table}.{check.column}" if check.column else check.table
    return Html(
        tag("p", tag("strong", where), " ", tag("code", check.name, class_="quiet")) + facts(check)
    )


def _gates(results: Sequence[StoredResult]) -> Html:
    """Return one row for each gate: its verdicts, newest first."""
    lines = []
    for gate in gates_of(results):
        mine = [r for r in reversed(results) if r.gate == gate]
        lines.append(
            row(
                tag("th", tag("a", gate, href=f"{gate}.html"), scope="row"),
                pill(verdict_of(mine[0])),
                tag("td", mine[0].window, class_="number"),
                tag("td", moment(mine[0].judged_at), class_="time"),
                tag("td", *map(_square, mine[:_SHOWN_HISTORY]), class_="history"),
            )
        )
    return table(
        ("Gate", "Latest verdict", "Window", "Checked (UTC)", "History, newest first"), lines
    )


def _square(result: StoredResult) -> Html:
    verdict = verdict_of(result)
    return tag(
        "a",
        MARKS[verdict],
        href=result.report.page if result.report else f"{result.gate}.html",
        title=f"{result.window}: {WORDS[verdict]}, {moment(result.judged_at)} UTC",
        class_=verdict,
    )


def _windows(latest: Sequence[StoredResult]) -> list[Html]:
    """Return one row for each gate and window, latest window first, gates in flow order."""
    by_window: dict[str, list[StoredResult]] = {}
    for result in sorted(latest, key=lambda r: r.judged_at, reverse=True):
        by_window.setdefault(result.window, []).append(result)
    lines = []
    for window, results_of_window in list(by_window.items())[:_SHOWN_WINDOWS]:
        lines.append(row(tag("th", window, colspan=str(1 + len(_HEAD))), class_="group"))
        in_order = sorted(results_of_window, key=lambda r: _rank(r.gate))
        lines += [row(result.gate, *_cells(result)) for result in in_order]
    hidden = len(by_window) - _SHOWN_WINDOWS
    more = f"{count(hidden, 'older window')}: see the page of each gate" if hidden > 0 else ""
    return [
        tag("h2", "Windows", tag("small", "the latest result of each gate")),
        table(("Gate", *_HEAD), lines, "windows"),
        tag("p", more, class_="quiet"),
    ]


def _cells(result: StoredResult) -> tuple[Html, ...]:
    """Return verdict, counts, time and tables of a gate result."""
    checks = sum(verdict.checks for verdict in result.tables)
    shut = sum(verdict.failed for verdict in result.tables)
    warned = sum(verdict.warned for verdict in result.tables)
    failed = [count(shut, "failure")] * bool(shut) + [count(warned, "warning")] * bool(warned)
    passed = ", ".join([f"{checks - shut - warned} of {checks}", *failed])
    return (
        pill(verdict_of(result)),
        tag("td", passed, class_="number"),
        tag("td", moment(result.judged_at), class_="time"),
        tag("td", table_links(result, "")),
    )


def _warnings(warned: Sequence[StoredResult]) -> list[Html]:
    """Return the newest warnings of open gates."""
    warnings = [(result, check) for result in warned for check in result.failed]
    if not warnings:
        return []
    lines = [
        row(
            tag("th", result.window, scope="row"),
            tag("td", _to_report(result, tag("code", check.name))),
            check.observed or "",
            check.expected or "",
            check.reason or "",
        )
        for result, check in warnings[:_SHOWN_WARNINGS]
    ]
    more = len(warnings) - len(lines)
    return [
        tag("h2", "Warnings", tag("small", "the gate is open")),
        table(("Window", "Check", "Observed", "Expected", "Why"), lines, "warnings"),
        *([tag("p", f"and {count(more, 'more warning')}", class_="quiet")] if more else []),
    ]

"""Apply the rules of fraud to the payments in the lake: `python -m demo.backtest_rules`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.table import Table

from contracts.fraud_rules import FraudRulesError, fraud_rules
from contracts.settings import Settings, SettingsError, load_settings
from contracts.windows import Window, WindowError
from embedded.platform import read_status
from sources.currencies import formatted
from sources.errors import SourceError
from sources.registry import DEFAULT_SOURCE
from sources.registry import source as declared
from spark.jobs.backtest_rules import Backtest, BacktestError, backtest_rules
from spark.session import outage_explained, session
from warehouse.rule_backtests import record_backtest

_COUNTS: Final = (
    "transaction_count",
    "labelled_count",
    "known_fraud_count",
    "alert_count",
    "true_positive_count",
    "false_positive_count",
)
_FILE_WIDTH: Final = 150
_AMOUNTS: Final = ("known_fraud_amount", "alert_amount", "saved_amount")


def run(settings: Settings, source: str, window: Window | None, progress: Console) -> Backtest:
    """Return the backtest of the declared rules, and show its progress.

    Raises:
        BacktestError: when the lake has no payments of the source in the window, or Spark does not
            run.
        DriverLostError: when the Spark server stops in the meantime.
        StoreUnreachableError: when the object store does not answer.
    """
    service = read_status(settings)["services"].get("spark", {})
    if service.get("state") != "ready":
        raise BacktestError("Spark does not run: start the platform with `make up`.")
    what = f"Applying the rules to payments of {source}"
    with progress.status(what) as status, outage_explained():
        spark = session(settings)

        def show(stages: Any, inflight_tasks: int, operation_id: str | None, done: bool) -> None:
            tasks, finished = (
                sum(getattr(stage, name) for stage in stages or ())
                for name in ("num_tasks", "num_completed_tasks")
            )
            status.update(f"{what}: {finished} of {tasks} tasks")

        spark.registerProgressHandler(show)
        try:
            return backtest_rules(spark, source, fraud_rules(), datetime.now(UTC), window)
        finally:
            spark.stop()


def record(settings: Settings, backtest: Backtest) -> None:
    """Record a backtest in STAGING.

    Raises:
        BacktestError: when Postgres refuses its rows.
        WarehouseLostError: when Postgres does not answer.
    """
    try:
        record_backtest(settings.warehouse.dsn("loader"), rows(backtest))
    except psycopg.Error as problem:
        raise BacktestError(
            f"Postgres refuses the backtest: {str(problem).splitlines()[0]}. Run `make up`, which"
            " creates tables, users and grants, then run the backtest again."
        ) from problem


def by_rule(backtest: Backtest) -> Iterator[dict[str, Any]]:
    """Yield each rule with its counts and ratios over all currencies, and its money by currency.

    Precision is the share of frauds among alerts with a label, recall the share of alerts among
    known frauds; each is None without such payments.
    """
    for code in dict.fromkeys(result.rule_code for result in backtest.results):
        results = [result for result in backtest.results if result.rule_code == code]
        counts = {name: sum(getattr(one, name) for one in results) for name in _COUNTS}
        caught = counts["true_positive_count"]
        yield {
            "rule_code": code,
            **counts,
            "alert_precision_ratio": _ratio(caught, caught + counts["false_positive_count"]),
            "alert_recall_ratio": _ratio(caught, counts["known_fraud_count"]),
            **{
                name: {one.currency: getattr(one, name) for one in results if getattr(one, name)}
                for name in _AMOUNTS
            },
        }


def about(backtest: Backtest) -> str:
    """Return a sentence about the rules and the payments."""
    every = next(by_rule(backtest))
    return (
        f"Version {backtest.rules_version} of the rules on {every['transaction_count']:,} payments"
        f" of {backtest.source_system}, {backtest.first_event_date} to {backtest.last_event_date}:"
        f" {every['labelled_count']:,} have a label, {every['known_fraud_count']:,} of them fraud."
    )


def table(backtest: Backtest) -> Table:
    """Return a row for each rule, and one for the payments on which any rule fires."""
    shown = Table()
    shown.add_column("rule", no_wrap=True)
    for name in ("alerts", "frauds", "precision", "recall", "money of alerts", "of their frauds"):
        shown.add_column(name, justify="right", no_wrap=True)
    for rule in by_rule(backtest):
        shown.add_row(
            rule["rule_code"],
            f"{rule['alert_count']:,}",
            f"{rule['true_positive_count']:,}",
            *(
                "-" if rule[name] is None else f"{rule[name]:.3f}"
                for name in ("alert_precision_ratio", "alert_recall_ratio")
            ),
            *(_money(rule[name]) for name in ("alert_amount", "saved_amount")),
        )
    return shown


def as_json(backtest: Backtest) -> str:
    """Return the backtest as JSON; amounts are texts, which are exact."""
    found = {**_common(backtest), "rules": list(by_rule(backtest))}
    return json.dumps(found, default=str, indent=2)


def rows(backtest: Backtest) -> list[dict[str, Any]]:
    """Return the rows of staging.fraud_rule_backtests, one for each rule and currency."""
    return [{**_common(backtest), **asdict(result)} for result in backtest.results]


def _common(backtest: Backtest) -> dict[str, Any]:
    return {
        field.name: getattr(backtest, field.name)
        for field in fields(backtest)
        if field.name != "results"
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _money(amounts: dict[str, Decimal]) -> str:
    return "\n".join(f"{formatted(value, code)} {code}" for code, value in sorted(amounts.items()))


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 1 after an error message when something fails."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.backtest_rules",
        description="Apply the rules of contracts/fraud_rules.yaml to payments in the lake, and"
        " show their alerts, precision, recall and money by the labels known now. The figures are"
        " recorded for the mart rpt_fraud_rule_backtests.",
    )
    parser.add_argument("--source", default=DEFAULT_SOURCE, help=f"default: {DEFAULT_SOURCE}")
    parser.add_argument(
        "--window", help="2024-05-01, or 2024-05-01--2024-05-31; default: all days in the lake"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    options = parser.parse_args(arguments)
    try:
        source = declared(options.source).name
        window = Window.of(source, options.window) if options.window else None
        settings = load_settings()
        backtest = run(settings, source, window, Console(stderr=True))
        record(settings, backtest)
    except (
        BacktestError,
        ConnectionError,
        FraudRulesError,
        SettingsError,
        SourceError,
        WindowError,
    ) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(as_json(backtest))
    else:
        console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)
        console.print(about(backtest), table(backtest))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

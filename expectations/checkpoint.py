"""Run the Great Expectations checkpoint of a gate.

A batch is a pandas frame, a Spark frame or a query on Postgres, which Great Expectations evaluates
on that engine. The first run uses BOOLEAN_ONLY; failed rules run again for counts and examples.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.render.to_gx import Rule, to_expectation

QUOTED: Final = 3
"""Number of unexpected values that a report quotes."""
_WITHHELD: Final = {
    "raised_exception": True,
    "exception_message": "withheld: it may quote values that are personal",
    "exception_traceback": None,
}
_Rules = Mapping[int, Mapping[str, Rule]]


@dataclass(frozen=True)
class PostgresQuery:
    """The rows of a query that Great Expectations sends to Postgres; `dsn` is a libpq URI."""

    sql: str
    dsn: str = field(repr=False)


@dataclass(frozen=True)
class Batch:
    """Rows and the rules that check them.

    `data` is a pandas frame, a Spark frame or a `PostgresQuery`. `label` names the columns that
    identify a row in a report, such as the business date. `part` names the comparison of a summary
    frame; it is empty for the rows of the table. `sentences` say what a failed rule means, by the
    short name of the rule.
    """

    table: str
    data: Any
    rules: tuple[Rule, ...]
    label: tuple[str, ...] = ()
    part: str = ""
    sentences: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """Return the Great Expectations engine that evaluates the rules."""
        if isinstance(self.data, PostgresQuery):
            return "postgres"
        return "spark" if type(self.data).__module__.startswith("pyspark.") else "pandas"

    @property
    def named_rules(self) -> dict[str, Rule]:
        """Return the rules by the names of their checks, `<table>[.<part>].<column>.<what>`.

        Raises:
            ValueError: when two rules have the same name.
        """
        place = ".".join(filter(None, (self.table.split(".")[-1], self.part)))
        named = {f"{place}.{rule.column or 'table'}.{rule.what}": rule for rule in self.rules}
        if len(named) != len(self.rules):
            raise ValueError(f"two rules on {self.table} have the same name")
        return named


def load_engine() -> Any:
    """Import Great Expectations without progress bars; call it once before a process forks."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    return gx


def validate(gate: str, batches: Sequence[Batch]) -> list[list[Any]]:
    """Run the checkpoint of a gate and return the validation results of each batch by rule.

    The result of a failed rule has counts, and a few examples unless the rule is private.
    """
    rules = {number: batch.named_rules for number, batch in enumerate(batches) if batch.rules}
    with _new_context() as context:
        checkpoints = _Checkpoints(context, gate, batches)
        results = checkpoints.run(rules, "BOOLEAN_ONLY")
        for number, verdicts in results.items():
            details = _details(checkpoints, number, rules[number], verdicts, batches[number].label)
            results[number] = [details.get(check_of(item), item) for item in verdicts]
    return [results.get(number, []) for number in range(len(batches))]


def check_of(item: Any) -> str:
    """Return the name of the check that a validation result belongs to."""
    return str(item.expectation_config.meta["check"])


def exception_of(item: Any) -> str | None:
    """Return the first line of the exception of an expectation, or None."""
    info = item.exception_info or {}
    for part in [info, *(v for v in info.values() if isinstance(v, dict))]:
        if part.get("raised_exception"):
            return str(part.get("exception_message")).splitlines()[0][:200]
    return None


def _details(
    checkpoints: "_Checkpoints",
    number: int,
    rules: Mapping[str, Rule],
    verdicts: Sequence[Any],
    label: tuple[str, ...],
) -> dict[str, Any]:
    """Run the failed rules of a batch again and return their results by check."""
    failed = [check_of(item) for item in verdicts if not item.success]
    details: dict[str, Any] = {}
    for private in (True, False):
        again = {name: rules[name] for name in failed if rules[name].private is private}
        if not again:
            continue
        form: dict[str, Any] = {"result_format": "SUMMARY"}
        form["partial_unexpected_count"] = 0 if private else QUOTED
        if label and not private:
            form["unexpected_index_column_names"] = list(label)
        results = checkpoints.run({number: again}, form)[number]
        if private:
            for item in filter(exception_of, results):
                item.exception_info = _WITHHELD
        details |= {check_of(item): item for item in results}
    return details


class _Checkpoints:
    """The batches of a gate in a context, ready to be validated."""

    def __init__(self, context: Any, gate: str, batches: Sequence[Batch]) -> None:
        self._context = context
        self._gate = gate
        self._batches = batches
        self._definitions = [_batch_definition(context, n, b) for n, b in enumerate(batches)]
        self._runs = 0

    def run(self, rules: _Rules, result_format: Any) -> dict[int, list[Any]]:
        """Validate batches by number with these rules, and return the results of each.

        All queries share one checkpoint. Each frame has a separate checkpoint, because a run passes
        one frame as batch parameter to all of its validation definitions.
        """
        queries = [number for number in rules if self._batches[number].engine == "postgres"]
        frames = [number for number in rules if number not in queries]
        results: dict[int, list[Any]] = {}
        for together in filter(None, (queries, *([number] for number in frames))):
            data = self._batches[together[0]].data
            parameters = None if together is queries else {"dataframe": data}
            results |= self._run({n: rules[n] for n in together}, result_format, parameters)
        return results

    def _run(self, rules: _Rules, result_format: Any, parameters: Any) -> dict[int, list[Any]]:
        gx = load_engine()
        self._runs += 1
        definitions = {}
        for number, named in rules.items():
            batch = self._batches[number]
            name = f"{self._gate}.{number}.{self._runs}"
            expectations = [
                to_expectation(rule, check, batch.engine) for check, rule in named.items()
            ]
            suite = self._context.suites.add(gx.ExpectationSuite(name, expectations=expectations))
            definitions[number] = self._context.validation_definitions.add(
                gx.ValidationDefinition(name=name, data=self._definitions[number], suite=suite)
            )
        checkpoint = self._context.checkpoints.add(
            gx.Checkpoint(
                name=f"{self._gate}.{self._runs}",
                validation_definitions=list(definitions.values()),
                result_format=result_format,
            )
        )
        ran = checkpoint.run(batch_parameters=parameters)
        by_suite = {result.suite_name: result.results for result in ran.run_results.values()}
        return {
            number: by_suite[definition.suite.name] for number, definition in definitions.items()
        }


@contextmanager
def _new_context() -> Iterator[Any]:
    """Yield an in-memory context without telemetry, and close its connections afterwards."""
    gx = load_engine()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        ),
    )
    try:
        yield context
    finally:
        if postgres := context.data_sources.all().get("postgres"):
            postgres.get_execution_engine().close()


def _batch_definition(context: Any, number: int, batch: Batch) -> Any:
    name = f"{number} {batch.table}"
    source = context.data_sources.all().get(batch.engine) or _data_source(context, batch)
    if isinstance(batch.data, PostgresQuery):
        return source.add_query_asset(name, query=batch.data.sql).add_batch_definition_whole_table(
            "all"
        )
    return source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")


def _data_source(context: Any, batch: Batch) -> Any:
    if isinstance(batch.data, PostgresQuery):
        uri = batch.data.dsn.replace("postgresql://", "postgresql+psycopg://", 1)
        return context.data_sources.add_postgres(
            "postgres", connection_string=uri, create_temp_table=True
        )
    if batch.engine == "spark":
        # Persisting takes a job and memory; reading a wide table is faster than copying it.
        return context.data_sources.add_spark("spark", persist=False)
    return context.data_sources.add_pandas("pandas")

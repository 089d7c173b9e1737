"""The hops at which the kill rate injects a fault, each into a copy, checked by the real gates.

A hop returns which gate closed and by which check, or None when all let the fault through.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.direct import DirectLine, Done, run_id_of
from benchmarks.faults.rows import Names
from contracts.render import to_arrow
from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stage_results import ProcessResult
from contracts.stages import Stage
from contracts.tables import TABLES
from contracts.windows import Window
from expectations.gates import gate_production, gate_raw, gate_staging
from expectations.processed import evaluate_processed, processed_frames
from expectations.sandbox import evaluate_sandbox, sandbox_frames
from sources.discover import deliveries
from sources.land import land
from sources.store import s3_client

DELIVERED: Final = {
    "handbook": Names(
        amount="TX_AMOUNT",
        clock=("TX_DATETIME",),
        merchant="TERMINAL_ID",
        swapped=("CUSTOMER_ID", "TERMINAL_ID"),
    ),
    "sparkov": Names(
        amount="amt",
        clock=("trans_date", "trans_time"),
        merchant="merchant",
        swapped=("acct_num", "cc_num"),
        category="category",
    ),
}
"""The layout of each source of the kill rate."""

PAYMENTS: Final = Names(
    amount="amount",
    clock=("event_at",),
    merchant="counterparty_id",
    swapped=("customer_id", "counterparty_id"),
    category="merchant_category",
    currency="currency",
    day="event_date",
)
"""Names of the canonical columns in Processed, STAGING and PRODUCTION."""
_TRANSACTIONS: Final = "processed.transactions"
_FACT: Final = "production_audit.fct_transactions"
_AS_BUILT: Final = f"{_FACT}_as_built"
_OF_DAY: Final = "event_date = %(day)s and source_system = %(source)s"

Frame = pd.DataFrame
Change = Callable[[Frame, Frame, Names], Frame]
"""A function of a day and the day before it, which returns the day with a fault."""


@dataclass(frozen=True)
class Stop:
    """What stopped a fault: a gate, or the job or table before it, and its rule."""

    by: str
    rule: str


@dataclass
class Copies:
    """The pipeline of a source with history, and one more day, hop by hop."""

    settings: Settings
    history: Window
    day: Window
    delivered: Path
    line: DirectLine
    done: Done = field(default_factory=dict)
    manifests: list[Any] = field(default_factory=list)

    @property
    def names(self) -> Names:
        """Return the names of the canonical columns without those that the source lacks."""
        from sources.registry import source

        lacks = source(self.day.source).lacks
        return replace(PAYMENTS, category=None) if "merchant_category" in lacks else PAYMENTS

    @property
    def yesterday(self) -> Window:
        """Return the day before."""
        before = self.day.start - timedelta(days=1)
        return Window(self.day.source, before, before)

    def session(self) -> Any:
        """Return a Spark session."""
        from spark.session import session

        return session(self.settings)

    def file(self, day: Window) -> Path:
        """Return the file that the source delivered for a day."""
        return self.settings.deliveries[day.source] / f"{day.span}.parquet"

    def take_history(self) -> None:
        """Run all days except the last through all stages and gates.

        Raises:
            GateFailed: when a gate closes on clean days.
        """
        done: Done = {}
        for stage in (Stage.LAND, Stage.PROCESS, Stage.PREPARE, Stage.LOAD, Stage.BUILD):
            self.line.stage(stage, self.history, done)

    # Raw: the file with the fault is delivered, landed and checked, then processed and checked.

    def raw_rows(self, change: Change) -> Stop | None:
        """Deliver the day's rows with a fault."""
        names = DELIVERED[self.day.source]
        origin = pq.read_table(self.delivered / self.file(self.day).name)
        before = pq.read_table(self.delivered / self.file(self.yesterday).name)
        changed = change(origin.to_pandas(), before.to_pandas(), names)
        table = pa.Table.from_pandas(changed, origin.schema, preserve_index=False)
        pq.write_table(table, self.file(self.day))
        return self._delivered()

    def raw_file(self, change: Callable[[bytes, bytes], bytes]) -> Stop | None:
        """Deliver a file with changed bytes."""
        own = (self.delivered / self.file(self.day).name).read_bytes()
        before = (self.delivered / self.file(self.yesterday).name).read_bytes()
        self.file(self.day).write_bytes(change(own, before))
        return self._delivered()

    def _delivered(self) -> Stop | None:
        try:
            return self._raw_then_processed()
        finally:
            shutil.copy2(self.delivered / self.file(self.day).name, self.file(self.day))

    def _raw_then_processed(self) -> Stop | None:
        from lake.publish import discard

        s3, bucket = s3_client(self.settings, "lander"), self.settings.s3.raw_bucket
        files = deliveries(self.day, self.settings.data_dir, self.settings.deliveries)
        landed = land(self.day, s3, bucket, files, run_id=run_id_of(Stage.LAND, self.day))
        manifests = self.line.manifests(landed)
        gate_result = gate_raw(
            manifests, self.day, landed.run_id, s3, bucket, self.settings.state_dir
        )
        if not gate_result.passed:
            return _stop(gate_result)
        try:
            written = self._process(manifests)
        except RuntimeError as error:
            return Stop("process", type(error).__name__)
        frames = processed_frames(self.session(), written)
        gate_result = evaluate_processed(
            self.session(), frames, written, manifests, self.settings.state_dir
        )
        discard(self.session(), written)
        return _stop(gate_result)

    def _process(self, manifests: list[Any]) -> ProcessResult:
        from spark.jobs.process import process

        return process(
            self.session(),
            manifests,
            self.day,
            run_id=run_id_of(Stage.PROCESS, self.day),
            raw_bucket=self.settings.s3.raw_bucket,
            key_file=self.settings.pseudonym_key_file,
        )

    # The lake: the audit branch has a clean day, and the gate gets a frame with the fault.

    def to_audit(self) -> None:
        """Write the clean day to the audit branches of Processed and Sandbox."""
        from spark.jobs.prepare import prepare

        self.line.stage(Stage.LAND, self.day, self.done)
        self.manifests = self.line.manifests(self.done[Stage.LAND])
        written = self._process(self.manifests)
        self.done[Stage.PROCESS] = written
        run_id = run_id_of(Stage.PREPARE, self.day)
        self.done[Stage.PREPARE] = prepare(self.session(), written, run_id=run_id)
        self._frames = {
            name: frame.persist()
            for name, frame in processed_frames(self.session(), written).items()
        }
        self._sandbox = {
            name: frame.persist()
            for name, frame in sandbox_frames(self.session(), self.done[Stage.PREPARE]).items()
        }
        self._payments = self._frames["transactions"].toPandas()
        is_yesterday = f"event_date = '{self.yesterday.span}'"
        self._before = self._frames["past"].where(is_yesterday).toPandas()

    def processed(self, change: Change) -> Stop | None:
        """Give gate processed the day's payments with a fault."""
        changed = self._changed(change, keeps_date=True)
        frames = {**self._frames, "transactions": self._to_spark(changed, _TRANSACTIONS)}
        written = self.done[Stage.PROCESS]
        return _stop(
            evaluate_processed(
                self.session(), frames, written, self.manifests, self.settings.state_dir
            )
        )

    def sandbox(self, change: Change, table: str = "features") -> Stop | None:
        """Give gate sandbox the day's features, or its masked sample, with a fault."""
        from lake.frames import audit_frame

        prepared = self.done[Stage.PREPARE]
        name = f"sandbox.{table}"
        yesterday = [self.yesterday.start]
        before = audit_frame(self.session(), prepared, name, yesterday).toPandas()
        rows = self._sandbox[table].toPandas()
        is_today = rows["event_date"] == self.day.start
        changed = change(rows[is_today].reset_index(drop=True), before, names_in(table, self.names))
        of_day = changed[changed["event_date"] == self.day.start]
        frames = {
            **self._sandbox,
            table: self._to_spark(pd.concat([rows[~is_today], of_day]), name),
        }
        return _stop(evaluate_sandbox(self.session(), frames, prepared, self.settings.state_dir))

    def _changed(self, change: Change, *, keeps_date: bool) -> Frame:
        """Return the day's payments with a fault, without rows that moved to another day."""
        changed = change(self._payments, self._before, self.names)
        if keeps_date:
            return changed[changed["event_date"] == self.day.start]
        return changed.assign(event_date=self.day.start)

    def _to_spark(self, rows: Frame, table: str) -> Any:
        return self.session().createDataFrame(as_table(rows, table))

    # The warehouse: a clean day is loaded and built, then one table is replaced.

    def to_staging(self) -> None:
        """Publish the day in the lake and copy it into shadow tables of STAGING."""
        from lake.catalog import open_catalog
        from lake.publish import publish
        from warehouse import load

        for stage in (Stage.PROCESS, Stage.PREPARE):
            self.done[stage] = publish(self.session(), self.done[stage])
        for frame in (*self._frames.values(), *self._sandbox.values()):
            frame.unpersist()
        catalog, run_id = open_catalog(self.settings, "reader"), run_id_of(Stage.LOAD, self.day)
        self.done[Stage.LOAD] = load.stage(
            catalog, self._dsn("loader"), self.done[Stage.PROCESS], self.done[Stage.PREPARE], run_id
        )

    def staging(self, change: Change) -> Stop | None:
        """Give gate staging a shadow table of the payments with a fault."""
        from lake.catalog import open_catalog

        staged = self.done[Stage.LOAD]
        beside = staged.beside["staging.transactions"]
        copy = "staging.transactions_with_a_fault"
        rows = self._changed(change, keeps_date=False)
        with psycopg.connect(self._dsn("loader")) as connection:
            connection.execute(f"drop table if exists {copy}".encode())
            connection.execute(f"create table {copy} (like {beside})".encode())
            key = ", ".join(TABLES["staging.transactions"].key)
            connection.execute(f"alter table {copy} add primary key ({key})".encode())
        with _refusals() as refused:
            self._ingest(rows, copy, "loader")
        if refused:
            return refused[0]
        given = replace(staged, beside={**staged.beside, "staging.transactions": copy})
        catalog = open_catalog(self.settings, "reader")
        return _stop(gate_staging(self._dsn("loader"), catalog, given, self.settings.state_dir))

    def to_production(self) -> None:
        """Attach the day to STAGING and build its marts in the audit schema."""
        from warehouse import load, transform

        load.swap(self._dsn("loader"), self.done[Stage.LOAD])
        self.done[Stage.BUILD] = transform.build(
            self.settings,
            window=self.day,
            run_id=run_id_of(Stage.BUILD, self.day),
            dates=self.done[Stage.LOAD].dates,
        )
        with psycopg.connect(self._dsn("transformer")) as connection:
            connection.execute(f"drop table if exists {_AS_BUILT}".encode())
            connection.execute(f"create table {_AS_BUILT} (like {_FACT})".encode())
            copy = f"insert into {_AS_BUILT} select * from {_FACT} where {_OF_DAY}"  # noqa: S608
            connection.execute(copy.encode(), self._of_day)

    def production(self, change: Change) -> Stop | None:
        """Give gate production the day's facts in the audit schema with a fault."""
        with _refusals() as refused:
            self._replace_facts(self._changed(change, keeps_date=False))
        if refused:
            return refused[0]
        built = self.done[Stage.BUILD]
        try:
            return _stop(gate_production(self._dsn("transformer"), built, self.settings.state_dir))
        finally:
            self._replace_facts(self._payments)

    def _replace_facts(self, rows: Frame) -> None:
        """Replace the day in the fact by rows of STAGING.

        Columns that the build computes are copied from the built day, by payment; a payment that
        the built day lacks gets the least value of the day.
        """
        beside = f"{_FACT}_with_a_fault"
        given = TABLES["staging.transactions"].column_names
        names = TABLES["production.fct_transactions"].column_names
        values = ", ".join(
            f"n.{name}" if name in given else f"coalesce(b.{name}, least_of_day.{name})"
            for name in names
        )
        least = ", ".join(f"min({name}) as {name}" for name in names if name not in given)
        insert = (
            f"insert into {_FACT} ({', '.join(names)}) select {values} from {beside} as n"  # noqa: S608
            f" left join {_AS_BUILT} as b using (event_id)"
            f" cross join (select {least} from {_AS_BUILT}) as least_of_day"
        )
        with psycopg.connect(self._dsn("transformer")) as connection:
            connection.execute(f"drop table if exists {beside}".encode())
            empty = f"create table {beside} as select {', '.join(given)} from {_FACT} limit 0"  # noqa: S608
            connection.execute(empty.encode())
        self._ingest(rows, beside, "transformer")
        with psycopg.connect(self._dsn("transformer")) as connection:
            connection.execute(f"delete from {_FACT} where {_OF_DAY}".encode(), self._of_day)  # noqa: S608
            connection.execute(insert.encode())
            connection.execute(f"drop table {beside}".encode())

    @property
    def _of_day(self) -> dict[str, Any]:
        return {"day": self.day.start, "source": self.day.source}

    def _ingest(self, rows: Frame, table: str, role: Any) -> None:
        import adbc_driver_postgresql.dbapi as adbc

        schema, _, short = table.partition(".")
        content = as_table(rows, "staging.transactions")
        with adbc.connect(self._dsn(role)) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(short, content, mode="append", db_schema_name=schema)
            connection.commit()

    def _dsn(self, role: Any) -> str:
        return self.settings.warehouse.dsn(role)


def names_in(table: str, names: Names) -> Names:
    """Return the fault columns of a table of the Sandbox: the category is only in the sample."""
    return replace(names, category=None) if table == "features" else names


@contextmanager
def _refusals() -> Iterator[list[Stop]]:
    """Collect errors of a constraint of a table."""
    import adbc_driver_manager

    refused: list[Stop] = []
    try:
        yield refused
    except (psycopg.errors.IntegrityError, adbc_driver_manager.IntegrityError) as error:
        message = str(error).splitlines()[0].rpartition("ERROR:")[2].strip()
        refused.append(Stop("the table", message[:80]))


def as_table(rows: Frame, table: str) -> pa.Table:
    """Return rows with the declared types of a table."""
    schema = to_arrow.schema(TABLES[table])
    plain = rows[schema.names]
    plain.attrs = {}  # Spark leaves the metrics of its query there, which Arrow cannot keep
    return pa.Table.from_pandas(plain, schema, preserve_index=False)


def _stop(gate_result: GateResult) -> Stop | None:
    """Return what closed a gate, causes first, or None."""
    closed = [c for c in gate_result.checks if not c.passed and c.severity == "critical"]
    if not closed:
        return None
    names = [check.name for check in closed]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Stop(f"gate {gate_result.gate}", f"{names[0]}{more}")

"""The replay certificate: a sample of decisions, computed again from Raw, the lake and the log.

A decision read the online store: the payments of the lake at the snapshots of the last fill, and
those that the API had decided on. The lake at these snapshots and the decision log give the same
payments, whatever has arrived since. Kernel, rules and the recorded model version are those of the
API. A decision that cannot be computed again is not comparable, with a reason.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.rows import dict_row

from contracts.features import FEATURE_LIST_VERSION, LOOKBACK_DAYS
from contracts.fraud_rules import fraud_rules
from contracts.serving_columns import ReplayOutcome
from lake.read import SnapshotMissing
from ml.champion import Champion
from ml.errors import NoChampion
from serving.decision import Decision, Verdict, decide, inputs_of
from serving.decision_chain import DECISIONS
from serving.features import figures_of
from serving.fill import FILLS, read_lake
from serving.store import RECENT, Payment, counts_for_kernel
from spark.jobs.column_coverage import columns_filled
from warehouse.errors import says_what_is_away

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

FEATURE_TOLERANCE: Final = 1e-9
SCORE_TOLERANCE: Final = 1e-6
_LONGEST_COMMIT: Final = timedelta(seconds=5)
"""Longer than a transaction of the API takes: an earlier decision was in the store for certain."""
_MOST_TRIES: Final = 20
_FILLS: Final = (
    f"select {', '.join(FILLS.column_names[1:])} from {FILLS.name}"  # noqa: S608 - our own names
    " where source_system = %s order by fill_started_at"
)
_DECIDED: Final = (
    f"select payment.*, log.chain_position, log.decided_at from {DECISIONS.name} log,"  # noqa: S608
    f" jsonb_populate_record(null::{RECENT.name}, log.request) payment"
    " where log.source_system = %(source)s and log.event_at > %(since)s"
    " and (log.customer_id = any(%(parties)s) or log.counterparty_id = any(%(parties)s))"
    " order by log.chain_position"
)
LoadModel = Callable[[str, int], Champion]


@dataclass(frozen=True)
class Replayed:
    """A decision of the sample with its outcome; `difference` says how a mismatch differs."""

    source: str
    decided_date: date
    outcome: ReplayOutcome
    difference: str = ""


class Fill(NamedTuple):
    """A fill of the online store: the columns of serving.fills after the source."""

    started_at: datetime
    finished_at: datetime | None
    last: date
    payments_snapshot: int
    labels_snapshot: int


@dataclass(frozen=True)
class LakeStore:
    """The online store, from rows of serving.recent_payments and serving.category_counts."""

    payments: pa.Table
    counts: pa.Table

    def events(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the payments of the parties of `payments`; the kernel cuts them by time."""
        return self.payments.filter(_is_near(self.payments, payments))

    def category_counts(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the counts of all categories."""
        return counts_for_kernel(self.counts)


def sample(rows: Iterable[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """Return landed decisions, the same ones each time: those with the smallest hashes."""
    return heapq.nsmallest(size, rows, key=lambda row: row["row_hash"])


@says_what_is_away
def replay(
    dsn: str, catalog: Catalog, load_model: LoadModel, rows: Sequence[dict[str, Any]]
) -> list[Replayed]:
    """Compute decisions again, and return what came of each.

    Args:
        dsn: the warehouse, as the loader.
        catalog: the lake, for reading.
        load_model: returns a version of a model, or raises NoChampion.
        rows: landed decisions.

    Raises:
        WarehouseLostError: when Postgres is away; the job can be repeated.
    """
    found, load = list[Replayed](), cache(load_model)
    with psycopg.connect(dsn) as connection:
        for source, of_source in groupby(sorted(rows, key=_source), key=_source):
            fills = [Fill(*row) for row in connection.execute(_FILLS.encode(), (source,))]
            by_fill: dict[Fill, list[dict[str, Any]]] = {}
            for row in of_source:
                fill = _fill_of(row, fills)
                if isinstance(fill, ReplayOutcome):
                    found.append(_replayed(row, fill))
                else:
                    by_fill.setdefault(fill, []).append(row)
            for fill, own in by_fill.items():
                try:
                    history = _History.read(connection, catalog, source, fill, own)
                except SnapshotMissing:
                    gone = ReplayOutcome.SNAPSHOT_EXPIRED
                    found += [_replayed(row, gone) for row in own]
                    continue
                found += [history.compared(row, load) for row in own]
    return found


def _fill_of(row: Mapping[str, Any], fills: Sequence[Fill]) -> Fill | ReplayOutcome:
    """Return the fill before a decision, or why the decision is not comparable."""
    answer = msgspec.json.decode(row["answer"], type=Decision)
    if answer.degraded:
        return ReplayOutcome.DEGRADED
    if answer.rules_version != fraud_rules().version:
        return ReplayOutcome.OTHER_RULES
    if answer.feature_list_version != FEATURE_LIST_VERSION:
        return ReplayOutcome.OTHER_FEATURE_LIST
    before = [fill for fill in fills if fill.started_at <= answer.decided_at]
    if not before:
        return ReplayOutcome.NO_FILL
    fill = before[-1]
    if fill.finished_at is None or fill.finished_at > _arrived(answer):
        return ReplayOutcome.STORE_WAS_FILLED
    return fill


@dataclass(frozen=True)
class _History:
    """What the online store had after a fill, and the decisions that came before or after it."""

    source: str
    fill: Fill
    lake: LakeStore
    decided: pa.Table

    @classmethod
    def read(
        cls,
        connection: psycopg.Connection,
        catalog: Catalog,
        source: str,
        fill: Fill,
        rows: Sequence[dict[str, Any]],
    ) -> _History:
        payments = [payment_of(row) for row in rows]
        lake, counts = read_lake(
            catalog, source, fill.last, fill.payments_snapshot, fill.labels_snapshot
        )
        near = lake.filter(_is_near(lake, payments))
        parties = {one[name] for one in payments for name in ("customer_id", "counterparty_id")}
        first = min(payment["event_at"] for payment in payments)
        asked = {
            "source": source,
            "since": first - timedelta(days=LOOKBACK_DAYS + 1),
            "parties": sorted(parties - {None}),
        }
        with connection.cursor(row_factory=dict_row) as cursor:
            decided = cursor.execute(_DECIDED.encode(), asked).fetchall()
        schema = near.schema.append(pa.field("chain_position", pa.int64()))
        schema = schema.append(pa.field("decided_at", pa.timestamp("us", "UTC")))
        table = pa.Table.from_pylist(decided, schema)
        # A fill keeps what is later than its payments, and the API adds what the store has not.
        is_kept = pc.or_(
            pc.greater(table["event_date"], pa.scalar(fill.last)),
            pc.greater_equal(table["decided_at"], pa.scalar(fill.started_at)),
        )
        is_new = pc.invert(pc.is_in(table["event_id"], near["event_id"].combine_chunks()))
        kept = table.append_column("is_kept", pc.and_(is_kept, is_new))
        return cls(source, fill, LakeStore(near, counts), kept)

    def compared(self, row: Mapping[str, Any], load: LoadModel) -> Replayed:
        """Compute a decision again and compare it with the recorded one."""
        answer = msgspec.json.decode(row["answer"], type=Decision)
        if answer.model is None:
            return _replayed(row, ReplayOutcome.NO_MODEL)
        try:
            champion = load(answer.model.name, answer.model.version)
        except NoChampion:
            return _replayed(row, ReplayOutcome.NO_MODEL)
        payment, first = payment_of(row), ""
        for batch, store in self._stores(payment, row["chain_position"], answer):
            figures = figures_of(batch, store, {self.source: columns_filled(self.source)})
            verdict = decide(batch, figures, champion, fraud_rules())[0]
            difference = _difference(answer, inputs_of(figures)[0], verdict)
            if not difference:
                return _replayed(row, ReplayOutcome.MATCHED)
            first = first or difference
        return _replayed(row, ReplayOutcome.MISMATCHED, first)

    def _stores(
        self, payment: Payment, position: int, answer: Decision
    ) -> Iterator[tuple[list[Payment], LakeStore]]:
        """Yield the payments of the micro-batch, and each store that they may have read.

        Decisions are committed in the order of the chain, so that the store had all of them up to a
        position: all before the decision, or those before one that was committed meanwhile.
        """
        own = self.decided.filter(_is_near(self.decided, [payment]))
        at = pa.scalar(answer.decided_at, pa.timestamp("us", "UTC"))
        together = own.filter(pc.equal(own["decided_at"], at)).select(RECENT.column_names)
        others = [one for one in together.to_pylist() if one["event_id"] != payment["event_id"]]
        is_before = pc.and_(
            pc.less(own["chain_position"], position), pc.not_equal(own["decided_at"], at)
        )
        before = own.filter(pc.and_(is_before, own["is_kept"]))
        sure = pa.scalar(_arrived(answer) - _LONGEST_COMMIT, pa.timestamp("us", "UTC"))
        unsure = before.filter(pc.greater(before["decided_at"], sure))["chain_position"]
        limits = [position, *reversed(unsure.to_pylist())][:_MOST_TRIES]
        for limit in limits:
            seen = before.filter(pc.less(before["chain_position"], limit))
            rows = pa.concat_tables([self.lake.payments, seen.select(RECENT.column_names)])
            yield [payment, *others], LakeStore(rows, self.lake.counts)


def payment_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payment of a landed decision, as the API read it."""
    return {
        **row["request"],
        "amount": Decimal(row["amount"]),
        "event_at": datetime.fromisoformat(row["event_at"]),
        "event_date": date.fromisoformat(row["event_date"]),
    }


def _is_near(rows: pa.Table, payments: Sequence[Payment]) -> pa.Array:
    """Return whether rows have a party of payments, or are these payments."""

    def among(column: str, names: Sequence[str]) -> Any:
        values = {payment[name] for payment in payments for name in names} - {None}
        return pc.is_in(rows[column], pa.array(sorted(values), pa.string()))

    received = pc.and_(
        among("counterparty_id", ["customer_id"]),
        pc.fill_null(pc.equal(rows["counterparty_type"], "customer"), False),
    )
    own = pc.or_(among("customer_id", ["customer_id"]), among("event_id", ["event_id"]))
    return pc.or_(pc.or_(own, among("counterparty_id", ["counterparty_id"])), received)


def _difference(
    answer: Decision, inputs: Mapping[str, float | None], verdict: Verdict
) -> str | None:
    """Return the first difference of a decision and its replay; None if they match."""
    for name, value in inputs.items():
        if not _is_close(answer.features.get(name), value, FEATURE_TOLERANCE):
            return f"{name} was {answer.features.get(name)} and is {value}"
    if not _is_close(answer.risk_score, verdict.score, SCORE_TOLERANCE):
        return f"the score was {answer.risk_score} and is {verdict.score}"
    if answer.risk_level.lower() != verdict.risk_level:
        return f"the level was {answer.risk_level.lower()} and is {verdict.risk_level}"
    before = [reason.code for reason in answer.reason_codes]
    after = [reason.code for reason in verdict.reasons]
    return None if before == after else f"the reasons were {before} and are {after}"


def _is_close(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= tolerance


def _arrived(answer: Decision) -> datetime:
    return answer.decided_at - timedelta(milliseconds=answer.duration_ms)


def _source(row: Mapping[str, Any]) -> str:
    return str(row["source_system"])


def _replayed(row: Mapping[str, Any], outcome: ReplayOutcome, difference: str = "") -> Replayed:
    place = f"position {row['chain_position']}, payment {row['event_id']} of {_source(row)}"
    decided = datetime.fromisoformat(row["decided_at"]).astimezone(UTC).date()
    return Replayed(_source(row), decided, outcome, difference and f"{place}: {difference}")

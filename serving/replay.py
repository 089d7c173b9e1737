"""The replay certificate: a sample of decisions, computed again from Raw, the lake and the log.

A decision read the online store: the payments of the lake at the snapshots of the last fill, those
that the API had decided on, and those that the stream had added. The lake at these snapshots, the
decision log and serving.streamed_payments give the same payments, whatever has arrived since.
Kernel, rules and the recorded model version are those of the API. A decision that cannot be
computed again is not comparable, with a reason.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby, islice, product
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
from serving.additions import ADDED
from serving.decision import Decision, Verdict, decide, inputs_of
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
_ADDED: Final = (
    f"select * from ({ADDED}) added where source_system = %(source)s and event_at > %(since)s"  # noqa: S608
    " and (customer_id = any(%(parties)s) or counterparty_id = any(%(parties)s))"
    " order by added_at, chain_position"
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
    """What the online store had after a fill, and what was added before or after it."""

    source: str
    fill: Fill
    lake: LakeStore
    added: pa.Table

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
            added = cursor.execute(_ADDED.encode(), asked).fetchall()
        schema = near.schema.append(pa.field("added_at", pa.timestamp("us", "UTC")))
        table = pa.Table.from_pylist(added, schema.append(pa.field("chain_position", pa.int64())))
        # A fill keeps what is later than its payments, and what the store has is not added again.
        is_kept = pc.or_(
            pc.greater(table["event_date"], pa.scalar(fill.last)),
            pc.greater_equal(table["added_at"], pa.scalar(fill.started_at)),
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

        Decisions are committed in the order of the chain, and batches of the stream in that of
        their times. So the store had all decisions up to a position, and all batches up to a time:
        all before the decision, or those before one that was committed meanwhile.
        """
        own = self.added.filter(_is_near(self.added, [payment]))
        at = pa.scalar(answer.decided_at, pa.timestamp("us", "UTC"))
        is_decision = pc.is_valid(own["chain_position"])
        is_together = pc.and_(is_decision, pc.equal(own["added_at"], at))
        together = own.filter(is_together).select(RECENT.column_names)
        others = [one for one in together.to_pylist() if one["event_id"] != payment["event_id"]]
        before = own.filter(pc.and_(own["is_kept"], pc.invert(is_together)))
        decided = before.filter(pc.less(before["chain_position"], position))
        is_earlier = pc.and_(pc.is_null(before["chain_position"]), pc.less(before["added_at"], at))
        streamed = before.filter(is_earlier)
        sure = pa.scalar(_arrived(answer) - _LONGEST_COMMIT, pa.timestamp("us", "UTC"))
        positions = decided.filter(pc.greater(decided["added_at"], sure))["chain_position"]
        times = streamed.filter(pc.greater(streamed["added_at"], sure))["added_at"].unique()
        limits = product(
            [position, *reversed(positions.to_pylist())],
            [answer.decided_at, *reversed(times.to_pylist())],
        )
        for limit, until in islice(limits, _MOST_TRIES):
            seen = pa.concat_tables(
                [
                    decided.filter(pc.less(decided["chain_position"], limit)),
                    streamed.filter(pc.less(streamed["added_at"], pa.scalar(until))),
                ]
            )
            yield [payment, *others], LakeStore(self._with(seen), self.lake.counts)

    def _with(self, added: pa.Table) -> pa.Table:
        """Return the payments of the lake and what was added, where the first of two remains."""
        rows = added.sort_by("added_at")
        first = pa.table(
            {"event_id": rows["event_id"], "at": pa.array(range(rows.num_rows), pa.int64())}
        )
        at = first.group_by("event_id").aggregate([("at", "min")])["at_min"].sort()
        return pa.concat_tables([self.lake.payments, rows.take(at).select(RECENT.column_names)])


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

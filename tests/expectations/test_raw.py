"""The gate of Raw, on the real object store."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts.results import GateResult
from contracts.settings import Settings
from contracts.values import CLOCK_TOLERANCE
from contracts.windows import Window
from expectations.gates import gate_raw
from sources import registry
from sources.discover import Delivery, deliveries
from sources.land import land, land_feedback
from sources.manifest import Manifest, RawObject, find_latest
from sources.store import s3_client

pytestmark = pytest.mark.stack
WINDOW = Window.parse("sparkov@2024-07-01--2024-07-03")
SAMPLE = Path(__file__).parents[2] / "data" / "sparkov" / "transactions"
DAY = Window.parse("sparkov@2024-06-29")
Change = Callable[[Manifest], Manifest]


class Store:
    """Raw, and how a gate is run on it."""

    def __init__(self, settings: Settings, state_dir: Path) -> None:
        self.bucket = settings.s3.raw_bucket
        self.client = s3_client(settings, "lander")
        self.settings = settings
        self.state_dir = state_dir

    def land(self, window: Window) -> Manifest:
        """Land a window of the sample and return its manifest."""
        files = deliveries(window, self.settings.data_dir)
        land(window, self.client, self.bucket, files, run_id="land_test")
        return find_latest(self.client, self.bucket, window)

    def gate(self, manifest: Manifest, window: Window = WINDOW, **given: Any) -> GateResult:
        """Return the gate result of a manifest."""
        return gate_raw(
            [manifest], window, "land_test", self.client, self.bucket, self.state_dir, **given
        )


@pytest.fixture(scope="module")
def store(s3: Settings, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(s3, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def landed(store: Store) -> Manifest:
    return store.land(WINDOW)


def _closed_by(result: GateResult) -> set[str]:
    return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


def test_the_sample_passes_as_a_whole_and_day_by_day(store: Store) -> None:
    window = Window.parse("sparkov@2024-05-01--2024-08-31")
    whole = store.land(window)
    assert len(whole.objects) == 123
    # Its rules check each object and each day separately.
    assert _closed_by(store.gate(whole, window)) == set()
    for item in whole.objects[::20]:
        day = Window.of("sparkov", item.name.removesuffix(".parquet"))
        one = replace(whole, window=day.key, objects=(item,))
        assert _closed_by(store.gate(one, day)) == set(), day.key


def test_feedback_of_a_window_passes_and_must_have_its_layout(
    store: Store, landed: Manifest, tmp_path: Path
) -> None:
    label = {"transaction_id": "e1", "is_fraud": 1, "label_source": "analyst"}
    path = tmp_path / "2024-07-01.jsonl"
    path.write_text(json.dumps(label | {"known_at": "2024-07-09T12:00:00Z"}))
    far = Window.parse("sparkov@2301-07-01--2301-07-03")
    land(far, store.client, store.bucket, deliveries(WINDOW, store.settings.data_dir), run_id="r")
    land_feedback(far, store.client, store.bucket, [Delivery(path)], run_id="r")
    (item,) = find_latest(store.client, store.bucket, far).labels
    assert _closed_by(store.gate(replace(landed, labels=(item,)))) == set()
    other = replace(item, columns={"transaction_id": "string"})
    assert "layout_problem" in str(_closed_by(store.gate(replace(landed, labels=(other,)))))


def _first(**changes: Any) -> Change:
    def change(manifest: Manifest) -> Manifest:
        first, *others = manifest.objects
        return replace(manifest, objects=(replace(first, **changes), *others))

    return change


def _objects(change: Callable[[tuple[RawObject, ...]], tuple[RawObject, ...]]) -> Change:
    return lambda manifest: replace(manifest, objects=change(manifest.objects))


def _renamed_column(manifest: Manifest) -> Manifest:
    columns = dict(manifest.objects[0].columns or {})
    columns["amount"] = columns.pop("amt")
    return _first(columns=columns)(manifest)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (_first(key="sparkov/transactions/gone.parquet"), "objects.bytes_stored.equals_bytes"),
        (_first(sha256="0" * 64), "objects.sha256_stored.equals_sha256"),
        (_first(bytes=17), "objects.bytes_stored.equals_bytes"),
        (_first(problem="no Parquet file", rows=None), "objects.problem.none"),
        (_first(rows=None), "objects.rows.not_null"),
        (_first(rows=0), "days.rows_missing.between"),
        (_first(rows=1_000_000), "days.rows_excess.between"),
        (_renamed_column, "objects.layout_problem.none"),
        (_objects(lambda items: items[1:]), "days.rows_missing.between"),
        (_objects(lambda items: (*items, items[0])), "objects.key.unique"),
        (_objects(lambda items: (items[0], replace(items[0], name=items[1].name), items[2])),
         "objects.content.unique"),
        (_objects(lambda _: ()), "objects.table.not_empty"),
        (lambda m: replace(m, source="nobody"), "manifests.source_known.equals_yes"),
        (lambda m: replace(m, window="2024-07-01"), "manifests.window.equals_window_asked"),
        (lambda m: replace(m, objects=(replace(m.objects[0], schema_version=9), *m.objects[1:])),
         "objects.schema_version.equals_schema_version_declared"),
        (lambda m: replace(m, landed_at=datetime(2024, 7, 3, 12, tzinfo=UTC)),
         "manifests.landed_after_window.equals_yes"),
    ],
)  # fmt: skip
def test_a_fault_closes_the_gate(store: Store, landed: Manifest, fault: Change, check: str) -> None:
    result = store.gate(fault(landed))
    assert f"transactions.{check}" in _closed_by(result)


def test_the_sentence_names_the_day_that_is_missing(store: Store, landed: Manifest) -> None:
    result = store.gate(_objects(lambda items: items[:2])(landed))
    (shut,) = [c for c in result.checks if c.name.endswith("rows_missing.between")]
    assert shut.observed == "1 of 3 rows, such as date=2024-07-03 rows=0 rows_missing=50"


def test_the_clock_decides_what_is_late_and_what_is_too_early(
    store: Store, landed: Manifest
) -> None:
    over = datetime(2024, 7, 4, tzinfo=UTC)
    fresh = replace(landed, landed_at=over + timedelta(hours=6))
    result = store.gate(fresh, now=over + timedelta(hours=7))
    assert all(check.passed for check in result.checks)
    early = store.gate(fresh, now=fresh.landed_at - CLOCK_TOLERANCE - timedelta(seconds=1))
    assert _closed_by(early) == {"transactions.manifests.landed_before_now.equals_yes"}
    late = store.gate(replace(landed, landed_at=over + timedelta(days=40)))
    assert late.passed
    assert [c.name for c in late.checks if not c.passed] == [
        "transactions.manifests.landed_fresh.equals_yes"
    ]


def test_a_manifest_of_a_clock_that_is_ahead_is_accepted(store: Store, landed: Manifest) -> None:
    assert store.gate(landed, now=landed.landed_at - CLOCK_TOLERANCE).passed


def test_an_empty_window_closes_the_gate(store: Store, landed: Manifest) -> None:
    empty = replace(landed, objects=())
    assert not store.gate(empty).passed


def test_a_file_that_was_not_taken_is_named_and_closes_no_gate(
    store: Store, landed: Manifest
) -> None:
    result = store.gate(replace(landed, not_taken=("a.zip is an archive", "b\x00 is a folder")))
    assert result.passed
    (named,) = [check for check in result.checks if "not_taken" in check.name]
    assert (named.passed, named.severity) == (False, "warning")
    assert "a.zip is an archive; b\\x00 is a folder" in str(named.observed)


@pytest.mark.parametrize(("kind", "day"), [("parquet", "2023-05-01"), ("csv", "2023-05-02")])
def test_a_payment_that_is_not_sent_again_is_named_and_closes_no_gate(
    store: Store, tmp_path: Path, kind: str, day: str
) -> None:
    window = Window.of("sparkov", day)
    path = tmp_path / f"{window.span}.{kind}"
    frame = pd.read_parquet(SAMPLE / "2024-05-01.parquet")
    frame["trans_date"] = window.span

    def delivered(rows: pd.DataFrame) -> Manifest:
        if kind == "csv":
            rows.to_csv(path, index=False)
        else:
            rows.to_parquet(path, index=False)
        land(window, store.client, store.bucket, [Delivery(path)], run_id="land_test")
        return find_latest(store.client, store.bucket, window)

    first = delivered(frame)
    delivered(frame.drop(index=[4]).assign(is_fraud=1))
    result = store.gate(delivered(frame.drop(index=[4, 7])), window)

    assert result.passed
    (check,) = [check for check in result.checks if "not_sent_again" in check.name]
    assert (check.passed, check.severity) == (False, "warning")
    key = first.objects[0].key
    assert (
        "2 of the payments of earlier deliveries are not sent again, and stay in Processed:"
        f" row 4 of {key}, row 7 of {key}" in str(check.observed)
    )
    whole = store.gate(delivered(frame.iloc[::-1]), window)
    assert all(check.passed for check in whole.checks if "not_sent_again" in check.name)


@pytest.mark.parametrize(("rows", "closes"), [(5, False), (90, True)])
def test_a_whole_file_beyond_its_window_is_named(
    store: Store, landed: Manifest, rows: int, closes: bool
) -> None:
    first, *others = landed.objects
    beyond = replace(first, rows_beyond=rows, first_day="2024-06-30", last_day="2024-07-03")
    result = store.gate(replace(landed, objects=(beyond, *others)))

    (warned,) = [check for check in result.checks if "rows_beyond" in check.name]
    assert not warned.passed
    (named,) = [check for check in result.checks if "beyond_window" in check.name]
    assert named.passed is not closes
    if closes:
        said = f"{rows} of {first.rows} rows are dated outside the window {WINDOW.span}"
        assert said in str(named.observed)
        assert "so land the window 2024-06-30--2024-07-03" in str(named.observed)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sparkov be closed on the second day of the window."""
    source = replace(registry.source("sparkov"), closed_days=("2024-07-02",))
    monkeypatch.setattr("expectations.raw.find", lambda name: source)


@pytest.mark.usefixtures("closed")
def test_a_closed_day_may_be_absent_or_empty(store: Store, landed: Manifest) -> None:
    first, second, third = landed.objects
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    key = f"sparkov/transactions/2024-07-02/{nothing[:16]}.csv"
    store.client.put_object(Bucket=store.bucket, Key=key, Body=b"")
    empty = replace(
        second,
        key=key,
        name="2024-07-02.csv",
        bytes=0,
        sha256=nothing,
        rows=0,
        schema_version=None,
        columns=None,
        row_counts={},
        amounts={},
    )
    for objects in ((first, third), (first, empty, third)):
        assert _closed_by(store.gate(replace(landed, objects=objects))) == set()
    assert "transactions.days.rows_missing.between" in _closed_by(
        store.gate(replace(landed, objects=(first, empty)))
    )
    day = Window.parse("sparkov@2024-07-02")
    for objects in ((), (empty,)):
        manifest = replace(landed, window=day.key, objects=objects)
        assert _closed_by(store.gate(manifest, day)) == set()


def test_a_day_that_the_run_declares_closed_may_be_absent(store: Store, landed: Manifest) -> None:
    first, _, third = landed.objects
    without = replace(landed, objects=(first, third))
    check = "transactions.days.rows_missing.between"
    assert check in _closed_by(store.gate(without))
    assert _closed_by(store.gate(replace(without, closed_days=(date(2024, 7, 2),)))) == set()
    assert check in _closed_by(store.gate(replace(without, closed_days=(date(2024, 7, 1),))))


@pytest.mark.usefixtures("closed")
def test_rows_of_a_closed_day_are_a_warning(store: Store, landed: Manifest) -> None:
    result = store.gate(landed)
    assert result.passed
    (warned,) = [check for check in result.checks if "rows_of_closed_day" in check.name]
    assert not warned.passed
    assert "date=2024-07-02" in str(warned.observed)


def test_parts_of_a_day_are_counted_together(store: Store, landed: Manifest) -> None:
    first, *others = landed.objects
    parts = [
        replace(first, name=f"2024-07-01/part-{number}.parquet", rows=rows, sha256=str(number))
        for number, rows in enumerate((first.rows - 1, 1))
    ]
    manifest = replace(landed, objects=(*parts, *others))
    closed = _closed_by(store.gate(manifest))
    assert not any("days" in name or "profile" in name for name in closed)


@pytest.fixture(scope="module")
def with_past(store: Store) -> Manifest:
    """Four weeks land as one window, then a day after them."""
    store.land(Window.parse("sparkov@2024-06-01--2024-06-28"))
    return store.land(DAY)


def test_a_day_like_its_past_passes(store: Store, with_past: Manifest) -> None:
    result = store.gate(with_past, DAY)
    assert result.passed
    assert "transactions.profile.mean_amount.not_far_above" in {c.name for c in result.checks}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda item: {"row_counts": {"EUR": item.rows}}, "currency_distance.near_its_past"),
        (lambda item: {"rows": item.rows * 4}, "rows.not_far_above"),
    ],
)
def test_a_day_unlike_its_past_closes_the_gate(
    store: Store, with_past: Manifest, change: Callable[[RawObject], Any], check: str
) -> None:
    (item,) = with_past.objects
    harmed = replace(with_past, objects=(replace(item, **change(item)),))
    assert f"transactions.profile.{check}" in _closed_by(store.gate(harmed, DAY))


def test_an_amount_unlike_the_past_is_a_warning_in_gate_raw(
    store: Store, with_past: Manifest
) -> None:
    (item,) = with_past.objects
    absurd = replace(item, amounts={"USD": item.amounts["USD"] * 100})
    result = store.gate(replace(with_past, objects=(absurd,)), DAY)
    assert result.passed
    name = "transactions.profile.mean_amount.not_far_above"
    (warning,) = [check for check in result.checks if check.name == name]
    assert (warning.passed, warning.severity) == (False, "warning")


def test_a_day_that_was_sent_before_closes_the_gate(store: Store, with_past: Manifest) -> None:
    earlier = find_latest(
        store.client, store.bucket, Window.parse("sparkov@2024-06-01--2024-06-28")
    )
    assert earlier is not None
    stale = replace(earlier.objects[-1], name=with_past.objects[0].name)
    result = store.gate(replace(with_past, objects=(stale,)), DAY)
    assert _closed_by(result) == {"transactions.objects.sent_before_as.none"}

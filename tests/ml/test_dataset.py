import itertools
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.columns import LABEL_SOURCES
from contracts.features import FEATURE_NAMES
from ml import dataset
from ml.errors import DuplicateEvents
from ml.matrix import to_matrix

World = tuple[pa.Table, pa.Table]


def test_the_matrix_has_the_declared_features_in_order_as_floats(world: World) -> None:
    features, _ = world
    matrix = to_matrix(features.select(features.column_names[::-1]))
    assert tuple(matrix.columns) == FEATURE_NAMES
    assert (matrix.dtypes == "float64").all()
    assert matrix["amount"].iloc[0] == float(features["amount"][0].as_py())
    missing = features["time_since_last_seconds"].null_count
    assert missing > 0
    assert matrix["time_since_last_seconds"].isna().sum() == missing
    assert set(matrix["is_night"]) == {0.0, 1.0}


def test_a_missing_feature_is_named(world: World) -> None:
    with pytest.raises(ValueError, match="is_night"):
        to_matrix(world[0].drop_columns(["is_night"]))


def test_a_label_counts_only_once_it_is_known(world: World, as_of: datetime) -> None:
    data = dataset.labelled(*world, as_of)
    assert (data.rows["known_at"] <= as_of).all()
    assert data.unlabelled > 0
    assert len(data.rows) + data.unlabelled == world[0].num_rows
    assert len(data.matrix) == len(data.rows)


def test_rows_and_matrix_have_the_same_order(world: World, as_of: datetime) -> None:
    data = dataset.labelled(*world, as_of)
    assert np.array_equal(data.rows["amount"], data.matrix["amount"])
    truth = dict(
        zip(world[1]["event_id"].to_pylist(), world[1]["is_fraud"].to_pylist(), strict=True)
    )
    assert [truth[e] for e in data.rows["event_id"]] == data.rows["is_fraud"].tolist()


def test_later_payments_and_labels_change_nothing(world: World, as_of: datetime) -> None:
    features, labels = world
    early = as_of - timedelta(days=10)
    before = dataset.labelled(features, labels, early)
    late_row = pc.greater_equal(features["event_at"], early)
    altered = features.set_column(
        features.column_names.index("is_night"),
        features.schema.field("is_night"),
        pc.if_else(late_row, pc.invert(features["is_night"]), features["is_night"]),
    )
    known_later = pc.greater(labels["known_at"], early)
    flipped = labels.set_column(
        labels.column_names.index("is_fraud"),
        labels.schema.field("is_fraud"),
        pc.if_else(known_later, pc.invert(labels["is_fraud"]), labels["is_fraud"]),
    )
    for changed in (
        dataset.labelled(altered, flipped, early),
        dataset.labelled(
            features.filter(pc.invert(late_row)), labels.filter(pc.invert(known_later)), early
        ),
    ):
        assert changed.rows.equals(before.rows)
        assert changed.matrix.equals(before.matrix)


def test_a_payment_that_occurs_twice_is_refused(world: World, as_of: datetime) -> None:
    features, labels = world
    with pytest.raises(DuplicateEvents, match="e000003"):
        dataset.labelled(pa.concat_tables([features, features.slice(3, 1)]), labels, as_of)


def test_the_label_known_last_counts(world: World, as_of: datetime) -> None:
    features, labels = world
    first = labels.slice(0, 1).to_pylist()[0]
    later = first | {
        "is_fraud": not first["is_fraud"],
        "label_source": "analyst",
        "known_at": first["known_at"] + timedelta(days=1),
    }
    more = pa.concat_tables([labels, pa.Table.from_pylist([later], labels.schema)])
    rows = dataset.labelled(features, more, as_of).rows
    assert rows.loc[rows["event_id"] == "e000000", "is_fraud"].tolist() == [later["is_fraud"]]
    at_once = pa.Table.from_pylist([later | {"known_at": first["known_at"]}], labels.schema)
    rows = dataset.labelled(features, pa.concat_tables([at_once, labels]), as_of).rows
    assert rows.loc[rows["event_id"] == "e000000", "is_fraud"].tolist() == [first["is_fraud"]]


@pytest.mark.parametrize(("first", "second"), itertools.pairwise(LABEL_SOURCES))
def test_of_labels_known_at_once_the_source_declared_first_counts(
    world: World, as_of: datetime, first: str, second: str
) -> None:
    features, labels = world
    about = labels.slice(0, 1).to_pylist()[0]
    statements = [
        about | {"label_source": second, "is_fraud": False},
        about | {"label_source": first, "is_fraud": True},
    ]
    for given in (statements, statements[::-1]):
        known = pa.concat_tables([labels.slice(1), pa.Table.from_pylist(given, labels.schema)])
        rows = dataset.labelled(features, known, as_of).rows
        assert rows.loc[rows["event_id"] == about["event_id"], "is_fraud"].tolist() == [True]


def test_the_recorded_snapshot_is_read(
    lake: Any, world: World, build_world: Callable[..., World]
) -> None:
    recorded = lake.publish(world)
    lake.publish(build_world(seed=8))
    name = dataset.FEATURES_TABLE
    snapshot = dataset.snapshot_of(lake.catalog, name, recorded)
    assert snapshot == recorded[name]
    assert dataset.snapshot_of(lake.catalog, name, {}) != snapshot
    read = dataset.read_features(lake.catalog, snapshot, "sparkov")
    assert read["amount"].to_pylist() == world[0]["amount"].to_pylist()
    days = sorted(set(world[0]["event_date"].to_pylist()))[3:5]
    some = dataset.read_features(lake.catalog, snapshot, "sparkov", days)
    assert sorted(set(some["event_date"].to_pylist())) == days


def test_a_source_is_read_without_other_sources(
    lake: Any, world: World, build_world: Callable[..., World]
) -> None:
    other = build_world(days=40, seed=9, source="handbook", currency="EUR")
    snapshots = lake.publish(world, other)
    features, labels = snapshots[dataset.FEATURES_TABLE], snapshots[dataset.LABELS_TABLE]
    read = dataset.read_features(lake.catalog, features, "sparkov")
    assert read.equals(world[0].sort_by(dataset._ORDER))
    assert set(read["currency"].to_pylist()) == {"USD"}
    rows = dataset.read_labels(lake.catalog, labels, "handbook")
    assert rows.num_rows == other[1].num_rows
    assert set(rows["source_system"].to_pylist()) == {"handbook"}
    assert dataset.last_day(lake.catalog, features, "sparkov") == date(2024, 6, 29)
    assert dataset.last_day(lake.catalog, features, "handbook") == date(2024, 6, 9)
    with pytest.raises(LookupError, match="no row of paysim1"):
        dataset.last_day(lake.catalog, features, "paysim1")

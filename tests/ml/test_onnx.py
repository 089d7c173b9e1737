"""ONNX models give the scores of the models they were converted from."""

import pickle
from datetime import datetime
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ml import candidates, dataset, training
from ml.errors import UnreadableModel
from ml.onnx_export import convert, export
from ml.onnx_model import OnnxModel
from ml.promotion import ONNX_TOLERANCE


@pytest.fixture(scope="module")
def data(world: tuple[pa.Table, pa.Table], as_of: datetime) -> dataset.Dataset:
    return dataset.labelled(*world, as_of)


@pytest.fixture(scope="module", params=sorted(candidates.SUPERVISED))
def model(request: pytest.FixtureRequest, data: dataset.Dataset) -> Any:
    every = np.ones(len(data.rows), dtype=bool)
    return training.fit_and_score(request.param, data, every, every)[0]


def test_every_candidate_that_can_become_champion_is_converted(
    model: Any, data: dataset.Dataset
) -> None:
    """Nulls, zero, negative and large values are among the rows, and thresholds of trees."""
    random = np.random.default_rng(1)
    matrix = data.matrix.head(2000)
    matrix = pd.concat(
        [
            matrix,
            matrix.mask(random.random(matrix.shape) < 0.3),
            -matrix,
            matrix * 1e6,
            matrix.astype(np.float32).astype(np.float64),
            pd.DataFrame(0.0, [0], matrix.columns),
            pd.DataFrame(np.nan, [0], matrix.columns),
        ],
        ignore_index=True,
    )
    exported = export(model, matrix, training.probability(model, matrix))
    assert exported.problem is None
    assert exported.difference <= ONNX_TOLERANCE / 2


def test_another_process_gets_the_same_scores(model: Any, data: dataset.Dataset) -> None:
    rows = data.matrix.head(50)
    original = OnnxModel(convert(model, list(rows)), list(rows))
    copy = pickle.loads(pickle.dumps(original))  # noqa: S301 - as Spark sends it to workers
    score = original.score(rows)
    assert copy.score(rows).tobytes() == score.tobytes()
    one_by_one = [original.score(rows.iloc[[row]]).item() for row in range(len(rows))]
    assert one_by_one == score.tolist()
    # Columns are read by name, an absent one is null, and no rows have no scores.
    turned = rows[rows.columns[::-1]].assign(other=1.0)
    assert original.score(turned).tobytes() == score.tobytes()
    lacking = original.score(rows.drop(columns="amount"))
    assert lacking.tobytes() == original.score(rows.assign(amount=np.nan)).tobytes()
    assert original.score(rows.head(0)).tolist() == []


def test_a_model_of_other_features_is_not_loaded(model: Any, data: dataset.Dataset) -> None:
    names = [str(name) for name in data.matrix]
    content = convert(model, names)
    for others in (names[1:], [*names[1:], names[0]], [*names, "other"]):
        with pytest.raises(UnreadableModel, match=r"reads .*amount.* version declares"):
            OnnxModel(content, others)
    changed = onnx.load_from_string(content)
    changed.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    with pytest.raises(UnreadableModel):
        OnnxModel(changed.SerializeToString(), names)
    del changed.metadata_props[:]
    changed.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(UnreadableModel, match="with the features unknown, and its version"):
        OnnxModel(changed.SerializeToString(), names)


def test_a_damaged_model_is_not_loaded() -> None:
    for content in (b"", b"no model", b"\x00" * 100):
        with pytest.raises(UnreadableModel, match=r"cannot be loaded .*: run train_fraud_model"):
            OnnxModel(content, ["amount"])


def test_a_model_that_cannot_be_converted_has_the_cause(data: dataset.Dataset) -> None:
    matrix = data.matrix[["amount", "hour_of_day"]]
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression())
    model.fit(matrix, data.rows["is_fraud"])
    exported = export(model, matrix, training.probability(model, matrix))
    assert exported.content is None
    assert np.isnan(exported.difference)
    assert exported.problem is not None
    assert "no ONNX converter for the function" in exported.problem


def test_the_difference_is_the_greatest_of_all_rows(model: Any, data: dataset.Dataset) -> None:
    score = training.probability(model, data.matrix)
    score[17] += 0.25
    assert export(model, data.matrix, score).difference == pytest.approx(0.25)

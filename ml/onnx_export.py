"""Conversion of a scoring pipeline to ONNX, with skl2onnx and onnxmltools.

skl2onnx converts neither a `SimpleImputer` with marks for nulls, nor one of doubles for ONNX
Runtime, nor `arcsinh`. Their converters are here, as its documentation describes for such cases.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBClassifier

from ml.onnx_model import FEATURES, INPUT, OnnxModel, first_line

_OPSET: Final = {"": 21, "ai.onnx.ml": 3}


@dataclass(frozen=True)
class Export:
    """The result of a conversion.

    Attributes:
        content: the ONNX model; None when the conversion failed.
        difference: the greatest difference between the scores of both models; NaN without content.
        problem: why the conversion failed; None when it did not.
    """

    content: bytes | None
    difference: float
    problem: str | None


def export(model: Any, matrix: pd.DataFrame, score: npt.NDArray[np.float64]) -> Export:
    """Convert `model`, and compare the scores of ONNX Runtime for `matrix` with `score`."""
    inputs = [str(name) for name in matrix]
    try:
        content = convert(model, inputs)
        scored = OnnxModel(content, inputs).score(matrix)
    except Exception as error:  # a converter raises any class; the model gate states the cause
        return Export(None, nan, f"{type(error).__name__}: {first_line(error)}")
    return Export(content, float(np.abs(scored - score).max(initial=0.0)), None)


def convert(model: Any, inputs: Sequence[str]) -> bytes:
    """Return `model` as ONNX: a matrix of doubles, NaN for null, to two probabilities a row.

    Raises:
        Exception: of the converter, when it does not know a part of the model.
    """
    import onnx.helper
    import skl2onnx
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.sklapi import CastTransformer

    skl2onnx.update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    if isinstance(model, XGBClassifier):
        # The converter reads features by position; XGBoost rounds its inputs to float32.
        model = copy.deepcopy(model)
        model.get_booster().feature_names = None
        model = Pipeline([("round", CastTransformer(dtype=np.float32)), ("model", model)])
    converted = skl2onnx.convert_sklearn(
        model,
        initial_types=[(INPUT, DoubleTensorType([None, len(inputs)]))],
        options={id(model): {"zipmap": False}},
        target_opset=_OPSET,
        custom_conversion_functions={
            SimpleImputer: _convert_imputer,
            FunctionTransformer: _convert_arcsinh,
        },
        custom_shape_calculators={
            SimpleImputer: _shape_of_imputer,
            FunctionTransformer: _shape_of_arcsinh,
        },
    )
    onnx.helper.set_model_props(converted, {FEATURES: json.dumps(list(inputs))})
    return bytes(converted.SerializeToString())


def _shape_of_imputer(operator: Any) -> None:
    imputer = operator.raw_operator
    marks = 0 if imputer.indicator_ is None else len(imputer.indicator_.features_)
    kind = type(operator.inputs[0].type)
    operator.outputs[0].type = kind([None, len(imputer.statistics_) + marks])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Replace each null by the statistic of its column, then append the marks for nulls."""
    from onnx import TensorProto
    from skl2onnx.algebra.onnx_ops import OnnxCast, OnnxConcat, OnnxGather, OnnxIsNaN, OnnxWhere

    imputer = operator.raw_operator
    version = {"op_version": container.target_opset}
    is_null = OnnxIsNaN(operator.inputs[0], **version)
    parts = [OnnxWhere(is_null, imputer.statistics_, operator.inputs[0], **version)]
    if imputer.indicator_ is not None:
        marked = OnnxGather(is_null, imputer.indicator_.features_, axis=1, **version)
        parts.append(OnnxCast(marked, to=TensorProto.DOUBLE, **version))
    joined = OnnxConcat(*parts, axis=1, output_names=operator.outputs[:1], **version)
    joined.add_to(scope, container)


def _shape_of_arcsinh(operator: Any) -> None:
    operator.outputs[0].type = operator.inputs[0].type


def _convert_arcsinh(scope: Any, operator: Any, container: Any) -> None:
    """Compute sign(x) log(|x| + sqrt(x² + 1)): ONNX Runtime has Asinh of float32 only.

    Raises:
        NotImplementedError: for another function.
    """
    from skl2onnx.algebra.onnx_ops import OnnxAbs, OnnxAdd, OnnxLog, OnnxMul, OnnxSign, OnnxSqrt

    function = operator.raw_operator.func
    if function is not np.arcsinh:
        raise NotImplementedError(f"no ONNX converter for the function {function}.")
    version = {"op_version": container.target_opset}
    x, one = operator.inputs[0], np.array([1.0])
    root = OnnxSqrt(OnnxAdd(OnnxMul(x, x, **version), one, **version), **version)
    log = OnnxLog(OnnxAdd(OnnxAbs(x, **version), root, **version), **version)
    signed = OnnxMul(OnnxSign(x, **version), log, output_names=operator.outputs[:1], **version)
    signed.add_to(scope, container)

"""Scores of an ONNX model by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.errors import UnreadableModel

INPUT: Final = "features"
OUTPUT: Final = "probabilities"
FEATURES: Final = "features"
"""The key of the names of the features in the metadata of an ONNX model, a list in JSON."""


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error."""
    return str(error).partition("\n")[0]


class OnnxModel:
    """An ONNX model, which a process can send to another one."""

    def __init__(self, content: bytes, inputs: Sequence[str]) -> None:
        """Load a model that reads `inputs`.

        Raises:
            UnreadableModel: when it cannot be loaded, or reads other features.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the exceptions of ONNX Runtime share no other class
            raise UnreadableModel(
                f"the ONNX model cannot be loaded ({first_line(error)}): run train_fraud_model."
            ) from error
        self._require(inputs)
        self._content, self._inputs = content, list(inputs)

    def __reduce__(self) -> tuple[type[OnnxModel], tuple[bytes, list[str]]]:
        return OnnxModel, (self._content, self._inputs)

    def score(self, matrix: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the score of each row; an input that `matrix` lacks is null."""
        if matrix.empty:
            return np.empty(0)
        rows = matrix.reindex(columns=self._inputs).to_numpy(np.float64)
        (probabilities,) = self._session.run([OUTPUT], {INPUT: rows})
        return np.asarray(probabilities[:, 1], dtype=np.float64)

    def _require(self, inputs: Sequence[str]) -> None:
        metadata = self._session.get_modelmeta().custom_metadata_map
        features = json.loads(metadata.get(FEATURES, "[]"))
        tensors = [(one.name, one.type, one.shape) for one in self._session.get_inputs()]
        if features != list(inputs) or tensors != [(INPUT, "tensor(double)", [None, len(inputs)])]:
            raise UnreadableModel(
                f"the ONNX model reads {tensors} with the features"
                f" {', '.join(features) or 'unknown'}, and its version declares"
                f" {', '.join(inputs)}: run train_fraud_model."
            )

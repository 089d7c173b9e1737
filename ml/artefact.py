"""The stored model: library objects in skops format, the same as ONNX, metadata for scoring."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES
from ml.drift import Distribution
from ml.onnx_model import OnnxModel
from ml.threshold import Bands

TRUSTED_TYPES: Final = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)
"""Types of the models that skops does not trust by default; no other type is loaded.

Those of scikit-learn are parts of versions without an ONNX model.
"""
ONNX_FILE: Final = "model.onnx"
_REQUIRED: Final = ("scikit-learn", "skops", "numpy", "pandas", "xgboost-cpu")
_FILE: Final = "model.skops"


@dataclass(frozen=True)
class Passport:
    """Metadata of a model, stored in its MLmodel file.

    Attributes:
        bands: the lowest scores at which a payment is watched, reviewed or declined.
        typical: the median of each input over the training rows.
        null_share: the share of nulls of each input in training, (nulls + 1) / (rows + 2).
        first_date: the first business date of the training history.
        distributions: of each input over the training rows; absent in older models.
        scores: distribution of the scores of the last validation fold; absent in older models.
        feature_list_version: the version of `feature_names`.
        feature_names: every feature that was computed when the model was trained.
        source_features: the features of the source's files that the model reads, in order; absent
            in older models.
    """

    bands: Bands
    typical: Mapping[str, float]
    null_share: Mapping[str, float]
    first_date: date
    feature_list_version: str = FEATURE_LIST_VERSION
    feature_names: tuple[str, ...] = FEATURE_NAMES
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    source_features: tuple[str, ...] = ()
    scores: Distribution | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for MLflow."""
        return {
            "bands": asdict(self.bands),
            "typical_values": dict(self.typical),
            "null_share": dict(self.null_share),
            "first_date": self.first_date.isoformat(),
            "unused_features": list(self.unused),
            "feature_list_version": self.feature_list_version,
            "feature_names": list(self.feature_names),
            "source_features": list(self.source_features),
            "distributions": {name: asdict(known) for name, known in self.distributions.items()},
            "scores": self.scores and asdict(self.scores),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Passport:
        """Return the metadata from the result of `to_dict`."""
        return cls(
            bands=Bands(**plain["bands"]),
            typical=plain["typical_values"],
            null_share=plain["null_share"],
            first_date=date.fromisoformat(plain["first_date"]),
            feature_list_version=plain["feature_list_version"],
            feature_names=tuple(plain["feature_names"]),
            distributions={
                name: Distribution.from_dict(known)
                for name, known in plain.get("distributions", {}).items()
            },
            source_features=tuple(plain.get("source_features", ())),
            scores=Distribution.from_dict(scores) if (scores := plain.get("scores")) else None,
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the features that the model reads, in the order it reads them."""
        computed = (name for name in self.feature_names if name in self.null_share)
        return (*computed, *self.source_features)

    @property
    def unused(self) -> tuple[str, ...]:
        """Return the features that were null in all training rows, which the model excludes."""
        return tuple(name for name in self.feature_names if name not in self.null_share)

    @property
    def is_current(self) -> bool:
        """Return whether the model reads the current list of computed features."""
        return (self.feature_list_version, self.feature_names) == (
            FEATURE_LIST_VERSION,
            FEATURE_NAMES,
        )


def requirements() -> list[str]:
    """Return the pinned packages that are needed to load the artefact."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in _REQUIRED]


def load(folder: Path) -> tuple[Any, Passport, OnnxModel | None]:
    """Load a downloaded MLflow model, trusting only `TRUSTED_TYPES`.

    Versions of an earlier release of the platform have no ONNX model.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: when the file has another type.
        UnreadableModel: when the ONNX model cannot be loaded, or reads other features.
    """
    import skops.io
    from mlflow.models import Model

    described = Model.load(str(folder))
    model = skops.io.load(folder / _FILE, trusted=list(TRUSTED_TYPES))
    passport = Passport.from_dict(described.metadata or {})
    file = folder / "extra_files" / ONNX_FILE
    onnx = OnnxModel(file.read_bytes(), passport.inputs) if file.exists() else None
    return model, passport, onnx

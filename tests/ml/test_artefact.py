import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from skops.io.exceptions import UntrustedTypesFoundException

from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES
from ml import artefact, candidates, dataset, training
from ml.champion import Champion
from ml.errors import UnreadableModel
from ml.onnx_export import convert
from ml.promotion import ONNX_TOLERANCE

World = tuple[pa.Table, pa.Table]
Saved = tuple[Path, training.Trained]

ELSEWHERE = """
import sys
import numpy, pandas, skops.io
from threadpoolctl import threadpool_limits
folder, trusted = sys.argv[1], sys.argv[2].split(",")
model = skops.io.load(folder + "/model.skops", trusted=trusted)
rows = pandas.read_parquet(folder + "/rows.parquet")
with threadpool_limits(1):  # as training does: sums in another order may differ in the last bit
    numpy.save(folder + "/scores.npy", model.predict_proba(rows)[:, 1].astype(float))
ours = {"contracts", "ml", "spark", "lake", "warehouse", "embedded", "mlflow"} & set(sys.modules)
assert not ours, ours
"""


def passport_of(trained: training.Trained) -> artefact.Passport:
    return artefact.Passport(
        trained.bands, dict(trained.typical), dict(trained.null_share), trained.first_date
    )


@pytest.fixture(scope="module", params=sorted(candidates.SUPERVISED))
def saved(
    request: pytest.FixtureRequest,
    world: World,
    as_of: datetime,
    tmp_path_factory: pytest.TempPathFactory,
) -> Saved:
    """Save each kind of model, whichever of them would win on this world."""
    only = {request.param: candidates.SUPERVISED[request.param]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "SUPERVISED", only)
        trained = training.train(dataset.labelled(*world, as_of), as_of)
    folder = tmp_path_factory.mktemp("artefact") / "model"
    onnx = folder.with_name(artefact.ONNX_FILE)
    onnx.write_bytes(convert(trained.model, list(trained.test_matrix)))
    mlflow.sklearn.save_model(
        trained.model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=list(artefact.TRUSTED_TYPES),
        pip_requirements=artefact.requirements(),
        metadata=passport_of(trained).to_dict(),
        extra_files=[str(onnx)],
    )
    return folder, trained


def test_the_artefact_loads_without_our_code(saved: Saved) -> None:
    folder, trained = saved
    trained.test_matrix.to_parquet(folder / "rows.parquet")
    trusted = ",".join(artefact.TRUSTED_TYPES)
    subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, str(folder), trusted], check=True, cwd=folder
    )
    assert np.load(folder / "scores.npy").tobytes() == trained.test_payments.score.tobytes()


def test_the_model_file_contains_the_metadata_for_scoring(saved: Saved) -> None:
    folder, trained = saved
    model, passport, onnx = artefact.load(folder)
    assert onnx is not None
    score = model.predict_proba(trained.test_matrix)[:, 1].astype(float)
    assert score.tobytes() == trained.test_payments.score.tobytes()
    assert np.abs(onnx.score(trained.test_matrix) - score).max() <= ONNX_TOLERANCE
    assert passport == passport_of(trained)
    assert passport.inputs == tuple(trained.test_matrix.columns)
    assert passport.is_current
    assert (passport.feature_list_version, passport.feature_names) == (
        FEATURE_LIST_VERSION,
        FEATURE_NAMES,
    )


def test_requirements_are_pinned_and_none_is_ours(saved: Saved) -> None:
    lines = (saved[0] / "requirements.txt").read_text().split()
    assert all("==" in line for line in lines)
    added_by_mlflow = set(lines) - set(artefact.requirements())
    assert {line.split("==")[0] for line in added_by_mlflow} == {"mlflow"}


def test_a_file_with_another_type_is_not_loaded(saved: Saved, tmp_path: Path) -> None:
    """The file asks MLflow to trust its own list; we do not ask the file."""
    (tmp_path / "MLmodel").write_bytes((saved[0] / "MLmodel").read_bytes())
    skops.io.dump(FunctionTransformer(subprocess.call), tmp_path / "model.skops")
    with pytest.raises(UntrustedTypesFoundException, match="subprocess"):
        artefact.load(tmp_path)


def test_a_version_without_an_onnx_model_is_scored_by_scikit_learn(
    saved: Saved, tmp_path: Path
) -> None:
    """Champions of earlier releases are such models, and an upgrade must not stop the platform."""
    trained = saved[1]
    matrix, is_fraud = trained.test_matrix, trained.test_payments.is_fraud
    trees = HistGradientBoostingClassifier(max_iter=5).fit(matrix, is_fraud)
    model = CalibratedClassifierCV(FrozenEstimator(trees)).fit(matrix, is_fraud)
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "model"),
        serialization_format="skops",
        skops_trusted_types=list(artefact.TRUSTED_TYPES),
        pip_requirements=artefact.requirements(),
        metadata=passport_of(trained).to_dict(),
    )
    champion = Champion("fraud_detector_sparkov", 1, *artefact.load(tmp_path / "model"))
    assert champion.onnx is None
    score = model.predict_proba(matrix)[:, 1]
    assert champion.score(matrix).tobytes() == score.tobytes()


def test_a_damaged_onnx_model_is_not_loaded(saved: Saved, tmp_path: Path) -> None:
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    file = tmp_path / "extra_files" / artefact.ONNX_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UnreadableModel, match=r"cannot be loaded .* run train_fraud_model"):
        artefact.load(tmp_path)

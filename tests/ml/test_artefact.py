import subprocess
import sys
from datetime import datetime
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer
from skops.io.exceptions import UntrustedTypesFoundException

from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES
from ml import artefact, candidates, dataset, training

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
    numpy.save(folder + "/scores.npy", model.predict_proba(rows)[:, 1])
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
    mlflow.sklearn.save_model(
        trained.model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=list(artefact.TRUSTED_TYPES),
        pip_requirements=artefact.requirements(),
        metadata=passport_of(trained).to_dict(),
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
    model, passport = artefact.load(folder)
    score = model.predict_proba(trained.test_matrix)[:, 1]
    assert score.tobytes() == trained.test_payments.score.tobytes()
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

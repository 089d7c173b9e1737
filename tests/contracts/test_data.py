"""The shipped sample is what its README says it is."""

from pathlib import Path

import pandas as pd

_DELIVERIES = Path(__file__).parents[2] / "data" / "sparkov" / "transactions"


def test_the_sample_has_the_rows_frauds_and_dates_that_its_readme_states() -> None:
    files = sorted(_DELIVERIES.glob("*.parquet"))
    sample = pd.concat([pd.read_parquet(file).assign(file=file.stem) for file in files])
    assert len(files) == 123
    assert len(sample) == 47_328
    assert sample["is_fraud"].sum() == 591
    assert sample["trans_num"].is_unique
    assert (sample["file"] == sample["trans_date"]).all()
    assert (files[0].stem, files[-1].stem) == ("2024-05-01", "2024-08-31")


def test_the_aws_sample_has_the_rows_labels_and_dates_that_its_readme_states() -> None:
    folder = _DELIVERIES.parents[1] / "aws_fraud"
    (file,) = (folder / "transactions").iterdir()
    sample = pd.read_csv(file, dtype=str)
    assert (file.name, len(sample)) == ("2022-11-07--2023-03-06.csv", 1_611)
    assert sample["EVENT_LABEL"].value_counts().to_dict() == {"0": 715, "1": 95}
    assert sample["EVENT_ID"].is_unique
    assert sample["payment_currency"].nunique() == 163
    assert (folder / "LICENSE").read_text().startswith("MIT No Attribution")

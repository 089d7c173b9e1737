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

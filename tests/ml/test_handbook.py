"""Our protocol and metrics against the figures that the handbook's authors published."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml import evaluate, split

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "handbook"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="the handbook's data (no licence to ship) is not beside the repository",
)


def test_logistic_regression_reaches_the_published_figures() -> None:
    days = [date(2018, 7, 25) + timedelta(n) for n in range(21)]
    raw = pd.concat(pd.read_parquet(FOLDER / "raw_daily" / f"{day}.parquet") for day in days)
    payments = raw.merge(
        pd.read_parquet(FOLDER / "published_features.parquet"), on="TRANSACTION_ID"
    )
    rows = pd.DataFrame(
        {
            "event_date": payments["TX_DATETIME"].dt.date,
            "customer_id": payments["CUSTOMER_ID"].astype(str),
            "is_fraud": payments["TX_FRAUD"] == 1,
        }
    )
    # The handbook knows a fraud of day d from the start of day d + 8 on.
    midnights = pd.to_datetime(rows["event_date"]).dt.tz_localize("UTC")
    rows["known_at"] = midnights + pd.Timedelta(days=8)
    fold = split.Fold(date(2018, 8, 8), date(2018, 8, 15))
    train = fold.train(rows)
    tested = split.of_unknown_customers(rows, fold.evaluation(rows))
    fraud = rows["is_fraud"].to_numpy()
    assert (train.sum(), fraud[train].sum()) == (67_240, 598)
    assert (tested.sum(), fraud[tested].sum()) == (58_264, 385)

    inputs = [
        c
        for c in payments.columns
        if c.startswith(("TX_AMOUNT", "TX_DURING", "CUSTOMER_ID_", "TERMINAL_ID_"))
    ]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(payments.loc[train, inputs], fraud[train])
    judged = evaluate.Judged(
        model.predict_proba(payments.loc[tested, inputs])[:, 1],
        fraud[tested],
        payments["TX_AMOUNT"].to_numpy(dtype=np.float64)[tested],
        rows["customer_id"].to_numpy()[tested],
        rows["event_date"].to_numpy()[tested],
    )
    assert evaluate.roc_auc(judged) == pytest.approx(0.871, abs=0.002)
    assert evaluate.average_precision(judged) == pytest.approx(0.606, abs=0.002)
    assert evaluate.card_precision(judged) == pytest.approx(0.291, abs=0.002)
    assert evaluate.card_precision_ceiling(judged) == pytest.approx(0.397, abs=0.001)

"""The handbook's 183 days land once, to the cent."""

from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from contracts.settings import Settings
from contracts.windows import Window
from sources.discover import deliveries
from sources.land import land
from sources.manifest import find_latest
from sources.store import s3_client

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "handbook" / "raw_daily"
WINDOW = Window.parse("handbook@2018-04-01--2018-09-30")

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not FOLDER.is_dir(),
        reason="the handbook's data (no licence to ship) is not beside the repository",
    ),
]


def test_the_whole_history_lands_once_and_to_the_cent(s3: Settings) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files = deliveries(WINDOW, s3.data_dir, {"handbook": FOLDER})

    first = land(WINDOW, client, bucket, files, run_id="r1")

    assert len(files) == 183
    manifest = find_latest(client, bucket, WINDOW)
    days = [pd.read_parquet(file.path, columns=["TX_AMOUNT"]) for file in files]
    cents = int((pd.concat(days)["TX_AMOUNT"] * 100).round().astype("int64").sum())
    assert manifest.row_counts == {"EUR": 1_754_155}
    assert {code: int(amount * 100) for code, amount in manifest.amounts.items()} == {"EUR": cents}
    (balance,) = first.balances
    assert (balance.rows_out, balance.amount_out) == (1_754_155, manifest.amounts["EUR"])
    assert {item.schema_version for item in manifest.objects} == {1}
    frauds = 0
    for item in manifest.objects:
        body = client.get_object(Bucket=bucket, Key=item.key)["Body"].read()
        frauds += pq.read_table(BytesIO(body), columns=["TX_FRAUD"])["TX_FRAUD"].to_numpy().sum()
    assert frauds == 14_681

    again = land(WINDOW, client, bucket, files, run_id="r2")

    assert (again.new_objects, again.sequence) == (0, 1)
    assert find_latest(client, bucket, WINDOW) == manifest
    assert again.balances == first.balances

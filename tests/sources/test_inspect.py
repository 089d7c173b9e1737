from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.inspect import Finding, inspect, sum_amounts
from sources.registry import source

DATA = Path(__file__).resolve().parents[2] / "data" / "sparkov" / "transactions"
DAY = DATA / "2024-05-01.parquet"
SPARKOV = source("sparkov")


def look(frame: pd.DataFrame, folder: Path) -> Finding:
    path = folder / "2024-05-01.parquet"
    frame.to_parquet(path, index=False)
    return inspect(path, SPARKOV)


def test_rows_and_money_of_every_shipped_day_agree_with_pandas() -> None:
    files = sorted(DATA.glob("*.parquet"))
    found = [inspect(file, SPARKOV) for file in files]
    frame = pd.concat([pd.read_parquet(file, columns=["amt"]) for file in files])

    assert {one.problem for one in found} == {None}
    assert sum(one.rows or 0 for one in found) == len(frame) == 47_328
    cents = int((frame["amt"] * 100).round().astype("int64").sum())
    assert sum(one.amount or 0 for one in found) == Decimal(cents) / 100


def test_a_truncated_file_is_found_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "2024-05-01.parquet"
    path.write_bytes(DAY.read_bytes()[:20_000])

    found = inspect(path, SPARKOV)

    assert found.rows is None
    assert found.bytes == 20_000
    assert str(found.problem).startswith("cannot be read as Parquet")


def test_an_empty_file_is_found_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "2024-05-01.parquet"
    path.touch()

    assert str(inspect(path, SPARKOV).problem).startswith("cannot be read as Parquet")


def test_a_git_lfs_pointer_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "2024-05-01.parquet"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

    assert inspect(path, SPARKOV).problem == "holds a Git-LFS pointer instead of the data"


def test_a_missing_column_a_renamed_one_and_a_wrong_type_are_found(tmp_path: Path) -> None:
    frame = pd.read_parquet(DAY)

    assert look(frame.drop(columns="zip"), tmp_path).problem == "missing zip"
    renamed = look(frame.rename(columns={"amt": "amount"}), tmp_path)
    assert (renamed.problem, renamed.amount) == ("missing amt; not declared amount", None)
    typed = look(frame.assign(amt=frame["amt"] > 1), tmp_path)
    assert typed.problem == "amt is boolean instead of double or string"


def test_a_file_without_rows_is_found_empty(tmp_path: Path) -> None:
    path = tmp_path / "2024-05-01.parquet"
    pq.write_table(pq.read_table(DAY).slice(0, 0), path)

    assert inspect(path, SPARKOV).problem == "holds no rows"


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1.1, 2.2], "3.30"),
        ([None, float("nan"), float("inf"), 0.005], "0.00"),
        ([-5.25, 1e30, 9e15], "8999999999999994.75"),
        (["12.50", " 1 ", "12,5", "1_0", "nan", "", "1e2"], "113.50"),
    ],
)
def test_money_that_cannot_be_read_counts_as_nothing(values: list[object], total: str) -> None:
    assert sum_amounts(pa.chunked_array([pa.array(values)]), Decimal(100_000)) == Decimal(total)

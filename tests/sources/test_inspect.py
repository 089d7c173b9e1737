import json
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import NUMBER
from sources import text
from sources.declaration import LabelFeed
from sources.inspect import Finding, inspect, inspect_labels
from sources.mapping_file import read as read_mapping
from sources.money import as_text, in_units, read_amounts
from sources.number_format import NumberFormat
from sources.registry import source
from sources.text import CsvForm

DATA = Path(__file__).resolve().parents[2] / "data" / "sparkov" / "transactions"
DAY = DATA / "2024-05-01.parquet"
SPARKOV = source("sparkov")
NEAREST = "nearest to version 1: "


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
    assert sum(one.amounts["USD"] for one in found) == Decimal(cents) / 100


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

    assert look(frame.drop(columns="zip"), tmp_path).problem == f"{NEAREST}missing zip"
    renamed = look(frame.rename(columns={"amt": "amount"}), tmp_path)
    assert renamed.problem == f"{NEAREST}missing amt; not declared amount"
    assert (renamed.version, renamed.amounts) == (None, {})
    typed = look(frame.assign(amt=frame["amt"] > 1), tmp_path)
    assert typed.problem == f"{NEAREST}amt is boolean instead of double or string"


def test_a_file_without_rows_is_found_empty(tmp_path: Path) -> None:
    path = tmp_path / "2024-05-01.parquet"
    pq.write_table(pq.read_table(DAY).slice(0, 0), path)

    assert inspect(path, SPARKOV).problem == "holds no rows"


def slowly(values: pa.ChunkedArray, digits: int) -> Decimal:
    """Sum money by the rule as it is said, a value at a time."""
    units, scale = 0, 10**digits
    for value in values.to_pylist():
        if isinstance(value, float):
            if not abs(value) < 1e16:
                continue
            unit = Decimal(1).scaleb(-digits)
            nearest = Decimal(repr(value)).quantize(unit, rounding="ROUND_HALF_UP")
            error = abs(value * scale - round(value * scale))
            is_whole = error <= max(1e-6, abs(value) * scale * 2**-51)
            units += int(nearest * scale) if is_whole else 0
        elif re.fullmatch(NUMBER, str(value).strip(" ")):
            number = Fraction(Decimal(str(value).strip(" "))) * scale
            is_stored = number.denominator == 1 and abs(number) < 10**16 * scale
            units += int(number) if is_stored else 0
    return Decimal(units).scaleb(-digits)


def sum_amounts(values: pa.ChunkedArray, digits: int = 2) -> Decimal:
    return pc.sum(read_amounts(values, digits), min_count=0).as_py()


DIGITS = st.sampled_from([0, 2, 3, 4])
CENTS = st.integers(-(10**19), 10**19).map(lambda cents: cents / 100)
FINER = st.integers(-(10**8), 10**8).map(lambda units: units / 10_000)
DOUBLES = st.one_of(st.none(), CENTS, FINER, st.floats())
WRITTEN = st.from_regex(rf"\A *({NUMBER}) *\Z").filter(lambda text: len(text) < 30)
PLAIN = st.decimals(allow_nan=False, allow_infinity=False, places=2).map(lambda one: f"{one:f}")
TEXTS = st.one_of(
    st.none(), DOUBLES.map(str), WRITTEN, PLAIN, st.text("0123456789.+-eE ", max_size=9)
)


@given(st.lists(DOUBLES), DIGITS)
def test_doubles_are_summed_as_one_by_one(values: list[float | None], digits: int) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    assert sum_amounts(column, digits) == slowly(column, digits)


@given(st.lists(TEXTS), DIGITS)
def test_texts_are_summed_as_one_by_one(values: list[str | None], digits: int) -> None:
    column = pa.chunked_array([pa.array(values, pa.string())])
    assert sum_amounts(column, digits) == slowly(column, digits)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), DIGITS)
def test_whole_numbers_are_summed_as_one_by_one(values: list[int], digits: int) -> None:
    column = pa.chunked_array([pa.array(values, pa.int64())])
    assert sum_amounts(column, digits) == slowly(column, digits)


@given(st.lists(st.decimals(-(10**20), 10**20, allow_nan=False, places=4)), DIGITS)
def test_decimals_are_summed_as_one_by_one(values: list[Decimal], digits: int) -> None:
    column = pa.chunked_array([pa.array(values, pa.decimal128(38, 4))])
    assert sum_amounts(column, digits) == slowly(column, digits)


def test_a_sum_beyond_64_bits_is_exact() -> None:
    column = pa.chunked_array([pa.array([9_999_999_999_999_998.0] * 3_000)])
    assert sum_amounts(column) == 3_000 * Decimal(9_999_999_999_999_998)


@pytest.mark.parametrize(
    ("values", "amount"),
    [
        ([1.1, 2.2], "3.30"),
        ([None, float("nan"), float("inf"), 0.005], "0.00"),
        ([-5.25, 1e30, 9e15], "8999999999999994.75"),
        ([135_000_000.02, 169_999_999.99, 0.1 + 0.2], "305000000.31"),
        (["135000000.02", "0.30000000000000004", "9999999999999999.99"], "10000000135000000.01"),
        (["12.50", " 1 ", "12,5", "1_0", "nan", "", "1e2", "\t5\u00a0"], "118.50"),
    ],
)
def test_money_that_cannot_be_read_counts_as_nothing(values: list[object], amount: str) -> None:
    assert sum_amounts(pa.chunked_array([pa.array(values)])) == Decimal(amount)


def test_an_amount_has_the_decimals_of_its_currency() -> None:
    digits = np.array([0, 0, 0, 2, 2, 3, 3, 4, 4])
    texts = ["500", "500.50", "500.00", "0.50", "0.505", "1.234", "1.2345", "1.2345", "1.23456"]
    amounts = [500, 0, 500, Decimal("0.5"), 0, Decimal("1.234"), 0, Decimal("1.2345"), 0]

    for values in (pa.array(texts), pa.array([float(one) for one in texts])):
        assert read_amounts(pa.chunked_array([values]), digits).to_pylist() == amounts


@pytest.mark.parametrize(
    ("values", "numbers", "amounts"),
    [
        (["1.234,56", "-0,5", "12.50", "12.34,5", "\u00a01.000", "1,5e2", None],
         NumberFormat(",", "."), [123_456, -50, 0, 0, 100_000, 15_000, 0]),
        (["1 234,5", "1\u202f234", "1'234"], NumberFormat(",", " "), [123_450, 123_400, 0]),
        (["1,234.5", "1234.5"], NumberFormat(".", ","), [123_450, 123_450]),
        ([1234.5, 0.1], NumberFormat(",", "."), [123_450, 10]),
        (["1234", "5", "12.5", "1e3", "x", None], NumberFormat(minor_units=True),
         [1234, 5, 0, 0, 0, 0]),
        ([1234, -5], NumberFormat(minor_units=True), [1234, -5]),
        ([1234.0, 12.5], NumberFormat(minor_units=True), [1234, 0]),
        ([Decimal("1234.00"), Decimal("0.50")], NumberFormat(minor_units=True), [1234, 0]),
        (["1.234", "0,5"], NumberFormat(",", ".", minor_units=True), [1234, 0]),
    ],
)  # fmt: skip
def test_amounts_are_read_in_the_form_of_their_source(
    values: list[Any], numbers: NumberFormat, amounts: list[int]
) -> None:
    column = pa.chunked_array([pa.array(values)])
    digits = np.full(len(values), 2)

    assert read_amounts(in_units(column, numbers, digits), digits).to_pylist() == [
        Decimal(one).scaleb(-2) for one in amounts
    ]


def test_minor_units_are_those_of_each_currency() -> None:
    column = pa.chunked_array([pa.array(["1230", "1230", "1234", "1230"])])
    digits = np.array([0, 2, 2, 3])
    amounts = read_amounts(in_units(column, NumberFormat(minor_units=True), digits), digits)

    assert list(map(str, amounts.to_pylist())) == ["1230.0000", "12.3000", "12.3400", "1.2300"]


def test_a_file_is_counted_by_the_formats_of_its_source() -> None:
    source = read_mapping(HOSTILE / "european_csv.yaml")
    found = inspect(HOSTILE / "european.csv", source)

    assert (found.rows, found.problem) == (10, None)
    assert found.row_counts == {"CHF": 1, "EUR": 8, "XXX": 1}
    refund = Decimal("1234567.80")
    assert found.amounts["EUR"] == refund + sum(map(Decimal, ("1", "2", "3", "4", "0.5")))
    assert (found.amounts["CHF"], found.amounts["XXX"]) == (Decimal(1234), Decimal(5))


def test_currencies_are_read_in_one_form(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    codes = ["EUR", "eur", "\u00a0EUR\t", "JPY", "EURO", None, "KWD", "CLF", "BHD"]
    texts = [*["1.50"] * 6, "1.234", "1.2345", "1.2345"]
    rows = [
        {"transaction_id": n, "amount": text, "currency": code}
        for n, (code, text) in enumerate(zip(codes, texts, strict=True))
    ]
    given = {"customer_id": "c", "timestamp": "2024-05-01T00:00:00"}
    path.write_text("".join(json.dumps({**given, **row}) + "\n" for row in rows))

    found = inspect(path, source("card_feed"))

    assert found.row_counts == {"BHD": 1, "CLF": 1, "EUR": 3, "JPY": 1, "KWD": 1, "XXX": 2}
    written = {code: str(amount) for code, amount in found.amounts.items()}
    assert written == {
        **{"BHD": "0.000", "CLF": "1.2345", "EUR": "4.50", "JPY": "0", "KWD": "1.234"},
        "XXX": "3.00",
    }


def test_bytes_that_are_no_text_are_neither_money_nor_a_currency() -> None:
    values = pa.chunked_array(
        [pa.array([b"1.50", b"1.\xff50", None], pa.binary()).view(pa.string())]
    )

    assert read_amounts(values).to_pylist() == [Decimal("1.5"), 0, 0]
    assert as_text(values).to_pylist() == ["1.50", "1.\ufffd50", None]


HOSTILE = Path(__file__).parent / "hostile"
AWS = source("aws_fraud")
(AWS_FILE,) = (DATA.parents[1] / "aws_fraud/transactions").glob("*.csv")
BINARY = b"PK\x03\x04\x14\x00\x00\x00\x08,a\x00b,\x1bc\n" * 30


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "EVENT_ID,ENTITY_ID\n1,2\n".encode("utf-16"), "the mark of UTF-16 text"),
        ("a.csv", "EVENT_ID,ENTITY_ID\n1,2\n".encode("utf-16-be"), "as UTF-16 text"),
        ("a.csv", "naïve;straße\n".encode("latin-1"), "its first line is not UTF-8 text"),
        ("a.csv", BINARY, "NUL bytes"),
        ("a.CSV", b"a\x00,\x1b[2J,\xed\xa0\x80\n", "not UTF-8"),
        ("a.CSV", b"a\x00bcdefghijklmnop,\x1b[2J\n", r"not declared \x1b[2J, a\x00bcd"),
    ],
)
def test_bytes_that_are_no_text_are_a_printable_sentence(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    problem = str(inspect(path, AWS).problem)
    assert said in problem
    assert problem.isprintable()
    assert len(problem) < 1000


@pytest.mark.parametrize(("words", "is_refused"), [(30, True), (20, False)])
def test_rows_in_another_encoding_are_a_sentence_unless_they_are_few(
    words: int, is_refused: bool, tmp_path: Path
) -> None:
    header = next(iter(AWS_FILE.open())).strip()
    line = ",".join("x" for _ in header.split(","))
    plain, accented = f"{line}\n".encode(), f"caf\xe9{line}\n".encode("latin-1")
    path = tmp_path / "a.csv"
    path.write_bytes(f"{header}\n".encode() + plain * (100 - words) + accented * words)

    problem = inspect(path, AWS).problem
    if is_refused:
        assert problem == (
            f"cannot be read as CSV ({words} of its lines, the first of them line"
            f" {102 - words}, are not UTF-8 text: write it as UTF-8, or declare its"
            " encoding)"
        )
    else:
        assert problem is None


def test_a_file_of_many_undeclared_columns_is_a_short_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"{'x' * 1000}{n}" for n in range(1000)))
    problem = str(inspect(path, AWS).problem)
    assert problem.endswith("and 988 more")
    assert len(problem) < 2500


@pytest.mark.parametrize(
    ("kind", "quoted", "said"),
    [
        ("json", False, "one task reads a JSON array whole, up to 1 MiB: deliver JSON lines"),
        ("csv", True, "one task reads CSV with quoted line breaks whole, up to 1 MiB"),
        ("csv", False, None),
        ("jsonl", False, None),
    ],
)
def test_a_file_that_one_task_cannot_read_whole_is_refused(
    kind: str, quoted: bool, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text.LARGEST_WHOLE == 64 * 2**20
    monkeypatch.setattr(text, "LARGEST_WHOLE", 2**20)
    large = replace(AWS, formats=("csv", "jsonl", "json"), csv=CsvForm(quoted_line_breaks=quoted))
    path = tmp_path / f"a.{kind}"
    path.write_text("x" * (2**20 + 1))

    problem = str(inspect(path, large).problem)
    if said is None:
        assert "one task" not in problem
    else:
        assert said in problem
        path.write_text("x" * 2**20)
        assert "one task" not in str(inspect(path, large).problem)


@pytest.mark.parametrize("content", [b"", b"header", None])
def test_an_empty_file_is_sound_where_a_day_may_be_empty(
    content: bytes | None, tmp_path: Path
) -> None:
    name = "2024-05-01.parquet" if content is None else "2024-05-01.csv"
    path = tmp_path / name
    frame = pd.read_parquet(DAY).head(0)
    if content is None:
        pq.write_table(pq.read_table(DAY).slice(0, 0), path)
    else:
        path.write_text(frame.to_csv(index=False) if content else "")

    empty = inspect(path, SPARKOV, may_be_empty=True)
    assert (empty.rows, empty.problem, empty.amounts) == (0, None, {})
    assert inspect(path, SPARKOV).problem is not None


@pytest.mark.parametrize(
    ("content", "rows", "problem"),
    [
        ("", 0, None),
        ('{"transaction_id": "a", "is_fraud": 1, "known_at": "x", "label_source": "analyst"}\n{', 2,
         None),
        ('{"transaction_id": "a", "is_fraud": 1, "label_source": "analyst"}\n', 1,
         "missing known_at"),
        ("transaction_id,is_fraud\n", None,
         "cannot be read as JSON (no line of it is a JSON object)"),
    ],
)  # fmt: skip
def test_a_file_of_labels_is_counted_or_has_a_problem(
    tmp_path: Path, content: str, rows: int | None, problem: str | None
) -> None:
    feed = source("simulator").labels
    assert isinstance(feed, LabelFeed)
    path = tmp_path / "2026-01-01.jsonl"
    path.write_text(content)

    found = inspect_labels(path, feed.version)

    assert (found.rows, found.problem, found.amounts) == (rows, problem, {})


def test_a_file_of_labels_that_one_task_cannot_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = source("simulator").labels
    assert isinstance(feed, LabelFeed)
    monkeypatch.setattr(text, "LARGEST_WHOLE", 2**20)
    path = tmp_path / "2026-01-01.jsonl"
    path.write_bytes(b"x" * (2**20 + 1))

    assert inspect_labels(path, feed.version).problem == "is above 1 MiB, which one task can read"

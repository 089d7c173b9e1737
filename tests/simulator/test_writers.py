import io
import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from simulator.days import Format, deliver
from simulator.rows import Feed
from simulator.settings import Settings
from simulator.world import World, make_world
from simulator.writers import OutputError, stream_days, write_days


def _nothing(days: int, rows: int) -> None:
    pass


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path, file_format: Format) -> None:
    rows = []
    for workers in (1, 2):
        world = make_world(Settings(customers=300))
        folder = tmp_path / str(workers)
        rows.append(write_days(world, range(74, 77), folder, file_format, workers, _nothing))
    one, two = _files(tmp_path / "1"), _files(tmp_path / "2")
    assert one == two
    assert rows[0] == rows[1] > 1_000
    assert {name.split("/")[0] for name in one} == {"payments", "labels", "truth", "dirt"}


def test_a_day_is_the_same_whichever_days_are_written_with_it(tmp_path: Path, world: World) -> None:
    write_days(world, range(3, 6), tmp_path / "three", "jsonl", 1, _nothing)
    write_days(world, range(5, 6), tmp_path / "last", "jsonl", 1, _nothing)
    three, last = _files(tmp_path / "three"), _files(tmp_path / "last")
    assert three["payments/2026-01-06.jsonl"] == last["payments/2026-01-06.jsonl"]
    assert three["dirt/2026-01-06.jsonl"] == last["dirt/2026-01-06.jsonl"]


def test_another_seed_is_another_world() -> None:
    lines = []
    for seed in (1, 2):
        world = make_world(Settings(customers=300, seed=seed))
        lines.append(deliver(world, Feed(world), 0, "jsonl").lines[0][0].as_py())
    assert lines[0] != lines[1]


def test_parquet_and_json_lines_hold_the_same_payments(
    tmp_path: Path, world: World, feed: Feed
) -> None:
    write_days(world, range(1), tmp_path, "parquet", 1, _nothing)
    table = pq.read_table(tmp_path / "payments" / "2026-01-01.parquet")
    delivery = deliver(world, feed, 0, "jsonl")
    dirty = {entry.row for entry in delivery.ledger}
    lines = [line for part in delivery.lines for line in part.to_pylist()]
    assert table.num_rows == len(lines)
    for number, row in enumerate(table.to_pylist()):
        if number not in dirty:
            read = json.loads(lines[number], parse_float=str, parse_int=str)
            assert read == {name: text for name, text in row.items() if text is not None}


def test_labels_are_in_the_file_of_the_day_on_which_they_become_known(
    tmp_path: Path, world: World
) -> None:
    write_days(world, range(10), tmp_path, "parquet", 1, _nothing)
    truth = {
        json.loads(line)["transaction_id"]
        for path in (tmp_path / "truth").iterdir()
        for line in path.read_text().splitlines()
    }
    labelled = set()
    for path in (tmp_path / "labels").iterdir():
        labels = [json.loads(line) for line in path.read_text().splitlines()]
        assert {label["known_at"][:10] for label in labels} <= {path.stem}
        assert labels == sorted(labels, key=lambda label: label["known_at"])
        labelled |= {label["transaction_id"] for label in labels}
    assert len(labelled & truth) > 0.85 * len(truth)


def test_a_folder_with_files_is_refused(tmp_path: Path, world: World) -> None:
    write_days(world, range(1), tmp_path, "jsonl", 1, _nothing)
    with pytest.raises(OutputError, match=r"payments is not empty: choose another output folder"):
        write_days(world, range(1), tmp_path, "jsonl", 1, _nothing)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, world: World) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file cannot be written: Not a directory"):
        write_days(world, range(1), tmp_path / "file", "jsonl", 1, _nothing)


def test_a_stream_has_the_bytes_of_the_files(tmp_path: Path, world: World) -> None:
    write_days(world, range(2), tmp_path, "jsonl", 1, _nothing)
    output = io.BytesIO()
    rows = stream_days(world, range(2), None, output)
    files = [tmp_path / "payments" / f"2026-01-0{day}.jsonl" for day in (1, 2)]
    assert output.getvalue() == b"".join(path.read_bytes() for path in files)
    assert rows == output.getvalue().count(b"\n")


def test_a_stream_keeps_its_rate(world: World) -> None:
    begin = time.monotonic()
    rows = stream_days(world, range(1), 10_000, io.BytesIO())
    assert time.monotonic() - begin > 0.9 * rows / 10_000


def test_no_column_has_a_text_twice_in_its_dictionary(world: World, feed: Feed) -> None:
    """Arrow 25 writes unset memory to a Parquet file for such a column."""
    columns = deliver(world, feed, 80, "parquet").columns
    assert columns is not None
    dictionaries = [c.dictionary for c in columns.values() if hasattr(c, "dictionary")]
    assert len(dictionaries) > 10
    assert all(len(texts.unique()) == len(texts) for texts in dictionaries)

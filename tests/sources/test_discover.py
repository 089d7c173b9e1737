from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from contracts.windows import Window
from sources import discover, registry
from sources.discover import deliveries, label_deliveries, not_taken
from sources.errors import WindowNotDeliveredError

DATA = Path(__file__).resolve().parents[2] / "data"
DAY = Window.parse("sparkov@2024-05-01")


def files(folder: Path, *names: str) -> dict[str, Path]:
    """Put empty files into a folder, and return it as the folder of sparkov."""
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return {"sparkov": folder}


def test_a_window_is_delivered_as_a_file_a_day_oldest_first() -> None:
    found = deliveries(Window.parse("sparkov@2024-05-30--2024-06-02"), DATA)

    assert [one.stem for one in found] == ["2024-05-30", "2024-05-31", "2024-06-01", "2024-06-02"]


def test_a_window_that_was_never_delivered_says_what_there_is() -> None:
    with pytest.raises(WindowNotDeliveredError) as error:
        deliveries(Window.parse("sparkov@2024-08-31--2024-09-05"), DATA)

    assert str(error.value) == (
        "sparkov has not delivered 2024-09-01, 2024-09-02, 2024-09-03 and 2 more days of the"
        " window 2024-08-31--2024-09-05: it has delivered 2024-05-01 to 2024-08-31."
        " Choose a window that was delivered."
    )


def test_an_empty_data_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(WindowNotDeliveredError, match="its folder is empty"):
        deliveries(Window.parse("sparkov@2024-05-01"), tmp_path)


def test_a_source_may_deliver_in_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "2018-04-01.parquet").touch()

    (found,) = deliveries(Window.parse("handbook@2018-04-01"), DATA, {"handbook": tmp_path})

    assert found.path == tmp_path / "2018-04-01.parquet"


def test_a_file_named_by_the_windows_dates_holds_all_of_it() -> None:
    (found,) = deliveries(Window.parse("aws_fraud@2022-11-07--2023-03-06"), DATA)

    assert found.path.name == "2022-11-07--2023-03-06.csv"


def test_a_file_of_a_range_is_no_file_of_its_days(tmp_path: Path) -> None:
    (tmp_path / "2018-04-01--2018-04-02.parquet").touch()
    folders = {"handbook": tmp_path}

    (whole,) = deliveries(Window.parse("handbook@2018-04-01--2018-04-02"), DATA, folders)
    assert whole.stem == "2018-04-01--2018-04-02"
    with pytest.raises(WindowNotDeliveredError, match="has not delivered 2018-04-01"):
        deliveries(Window.parse("handbook@2018-04-01"), DATA, folders)


def test_whole_files_are_taken_together_and_others_left(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "notes.txt", "c.parquet"):
        (tmp_path / name).touch()
    window = Window.parse("paysim1@2017-01-01--2017-01-31")

    found = deliveries(window, DATA, {"paysim1": tmp_path})

    assert [one.path.name for one in found] == ["a.csv", "b.csv", "c.parquet"]


def test_no_whole_file_is_said_with_how_one_ends(tmp_path: Path) -> None:
    window = Window.parse("sffsd@2020-01-01--2020-02-24")

    with pytest.raises(WindowNotDeliveredError, match=r"no file ends in \.csv"):
        deliveries(window, DATA, {"sffsd": tmp_path})


def test_hidden_and_resource_files_are_no_deliveries(tmp_path: Path) -> None:
    hidden = (".DS_Store", "._2024-05-01.csv", "_SUCCESS", "Thumbs.db", ".2024-05-01.parquet.crc")
    folders = files(tmp_path, "2024-05-01.csv", "~$2024-05-01.csv", "desktop.ini", *hidden)

    assert [one.name for one in deliveries(DAY, DATA, folders)] == ["2024-05-01.csv"]
    assert not_taken(DAY, DATA, folders) == ()


def test_what_is_not_taken_is_named_with_the_reason(tmp_path: Path) -> None:
    folders = files(
        tmp_path,
        *("2024-05-01.csv", "2024-05-01.parquet", "2024-05-01.CSV", "2024-05-01.xlsx"),
        *("2024-05-01.csv.gz", "notes.csv", "2024-05-01 (1)/part-0.csv", "2024-06-01.txt"),
    )
    (tmp_path / "2024-05-01.jsonl").symlink_to(tmp_path / "gone.jsonl")

    assert [one.name for one in deliveries(DAY, DATA, folders)] == ["2024-05-01.parquet"]
    ends = ".parquet or .csv"
    assert set(not_taken(DAY, DATA, folders)) == {
        "2024-05-01.csv delivers 2024-05-01 again, beside 2024-05-01.parquet",
        "2024-05-01.CSV delivers 2024-05-01 again, beside 2024-05-01.parquet",
        f"2024-05-01.xlsx does not end in {ends}",
        f"2024-05-01.jsonl does not end in {ends}",
        f"2024-05-01.csv.gz is an archive: unpack it to a file that ends in {ends}",
        "notes.csv is not named by a date, as 2024-03-01, or by the dates of a window",
        "2024-05-01 (1) is a folder: put its files here, or declare part_files",
    }


def test_an_ending_may_have_capitals(tmp_path: Path) -> None:
    (one,) = deliveries(DAY, DATA, files(tmp_path, "2024-05-01.CSV"))
    assert (one.name, one.kind, one.stem) == ("2024-05-01.CSV", "csv", "2024-05-01")


def test_an_error_names_what_lies_there_instead(tmp_path: Path) -> None:
    folders = files(tmp_path, "2024-05-01.csv.zip")
    with pytest.raises(
        WindowNotDeliveredError, match=r"Not taken: 2024-05-01\.csv\.zip is an arch"
    ):
        deliveries(DAY, DATA, folders)


def test_a_file_beside_the_whole_delivery_is_named(tmp_path: Path) -> None:
    window = Window.parse("sparkov@2024-05-01--2024-05-02")
    names = (f"{window.span}.csv", "2024-05-02.csv", "2024-05-03.csv")
    folders = files(tmp_path, *names)

    assert [one.name for one in deliveries(window, DATA, folders)] == [f"{window.span}.csv"]
    assert not_taken(window, DATA, folders) == (
        f"2024-05-02.csv stands beside {window.span}.csv, the whole delivery",
    )


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sparkov declare part files, sundays and a holiday."""
    source = replace(
        registry.source("sparkov"), part_files=True, closed_days=("sunday", "2024-05-01")
    )
    monkeypatch.setattr(discover, "declared", lambda name: source)


@pytest.mark.usefixtures("declared")
def test_a_folder_of_part_files_is_a_delivery_where_declared(tmp_path: Path) -> None:
    folders = files(
        tmp_path,
        *("2024-05-02.parquet/part-0.parquet", "2024-05-02.parquet/part-1.snappy.parquet"),
        *("2024-05-02.parquet/_SUCCESS", "2024-05-02.parquet/.part-0.parquet.crc"),
        *("2024-05-02.parquet/readme.txt", "2024-05-02.csv", "2024-05-03/part.CSV", "2024-05-04/x"),
    )
    window = Window.parse("sparkov@2024-05-02--2024-05-03")

    assert [(one.stem, one.name, one.kind) for one in deliveries(window, DATA, folders)] == [
        ("2024-05-02", "2024-05-02.parquet/part-0.parquet", "parquet"),
        ("2024-05-02", "2024-05-02.parquet/part-1.snappy.parquet", "parquet"),
        ("2024-05-03", "2024-05-03/part.CSV", "csv"),
    ]
    assert not_taken(window, DATA, folders) == (
        "2024-05-02.parquet/readme.txt does not end in .parquet or .csv",
        "2024-05-02.csv delivers 2024-05-02 again, beside 2024-05-02.parquet/part-0.parquet",
    )


@pytest.mark.usefixtures("declared")
def test_a_closed_day_needs_no_file(tmp_path: Path) -> None:
    folders = files(tmp_path, "2024-05-04.csv")
    found = deliveries(Window.parse("sparkov@2024-05-04--2024-05-05"), DATA, folders)

    assert [one.stem for one in found] == ["2024-05-04"]
    assert deliveries(DAY, DATA, folders) == []
    window = Window.parse("sparkov@2024-05-03--2024-05-04")
    found = deliveries(window, DATA, folders, (date(2024, 5, 3),))
    assert [one.stem for one in found] == ["2024-05-04"]
    with pytest.raises(WindowNotDeliveredError, match=r"not delivered 2024-05-03 of the window"):
        deliveries(Window.parse("sparkov@2024-05-03--2024-05-05"), DATA, folders)


def test_a_label_feed_has_a_file_for_each_day_beside_the_payments(tmp_path: Path) -> None:
    files(tmp_path / "labels", "2026-01-01.jsonl", "2026-01-02.jsonl", "2026-01-03.csv")
    folders = {"simulator": tmp_path / "payments"}

    window = Window.parse("simulator@2026-01-01--2026-01-02")
    found = label_deliveries(window, DATA, folders)

    assert [one.name for one in found] == ["2026-01-01.jsonl", "2026-01-02.jsonl"]
    with pytest.raises(WindowNotDeliveredError, match="not delivered labels of 2026-01-03 of the"):
        label_deliveries(Window.parse("simulator@2026-01-02--2026-01-03"), DATA, folders)
    assert label_deliveries(DAY, DATA) == []

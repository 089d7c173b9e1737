from pathlib import Path

import pytest

from contracts.windows import Window
from sources.discover import deliveries
from sources.errors import WindowNotDeliveredError

DATA = Path(__file__).resolve().parents[2] / "data"


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

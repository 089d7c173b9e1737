from pathlib import Path

import pytest

from contracts.windows import Window
from sources.deliver import deliveries
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
        " window 2024-08-31--2024-09-05: it holds 2024-05-01 to 2024-08-31."
        " Land a window that was delivered."
    )


def test_an_empty_data_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(WindowNotDeliveredError, match="it is empty"):
        deliveries(Window.parse("sparkov@2024-05-01"), tmp_path)


def test_a_source_may_deliver_in_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "2018-04-01.parquet").touch()

    (found,) = deliveries(Window.parse("handbook@2018-04-01"), DATA, {"handbook": tmp_path})

    assert found.path == tmp_path / "2018-04-01.parquet"

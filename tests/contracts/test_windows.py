from datetime import date

import pytest

from contracts.windows import Window, WindowError


def test_a_day_and_a_range_keep_their_keys() -> None:
    assert Window.parse("sparkov@2024-03-01").key == "sparkov@2024-03-01"
    assert Window.parse("sparkov@2024-01-01--2024-04-30").key == "sparkov@2024-01-01--2024-04-30"
    assert Window.parse("sparkov@2024-03-01--2024-03-01").key == "sparkov@2024-03-01"


def test_a_range_holds_both_its_ends() -> None:
    window = Window.parse("sparkov@2024-02-28--2024-03-01")
    assert list(window.dates()) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert date(2024, 3, 1) in window
    assert date(2024, 3, 2) not in window
    assert len(window) == 3


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2024-13-01", "20240301", "2024-3-1", "2024-03-01--", "--2024-03-01",
     "2024-03-01..2024-03-02", "2024-03-01--2024-03-02--2024-03-03", "2024-W01-1"],
)  # fmt: skip
def test_a_malformed_window_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(WindowError, match="2024-01-01--2024-04-30"):
        Window.of("sparkov", text)


@pytest.mark.parametrize(
    "key", ["2024-03-01", "@2024-03-01", "Spark ov@2024-03-01", "a/b@2024-03-01"]
)
def test_a_key_without_a_plain_source_is_refused_with_an_example(key: str) -> None:
    with pytest.raises(WindowError, match="sparkov@2024-03-01"):
        Window.parse(key)


def test_two_sources_never_share_a_window() -> None:
    one, other = (Window.of(source, "2024-03-01") for source in ("sparkov", "handbook"))
    assert one.span == other.span
    assert one.key != other.key


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(WindowError, match="earlier date first"):
        Window.parse("sparkov@2024-03-02--2024-03-01")

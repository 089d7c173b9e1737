from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.rounds import Timing, interleaved, table


def test_a_section_replaces_itself_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SECTIONS", ("line", "load"))
    there = tmp_path / "benchmarks.md"
    page.write_section("load", title="Load", lines=["first load"], page=there)
    page.write_section("line", title="Line", lines=["a line"], page=there)
    page.write_section("load", title="Load", lines=["second load"], page=there)

    text = there.read_text()

    assert text.index("a line") < text.index("second load")
    assert "first load" not in text
    assert text.count("# Benchmarks\n") == 1
    assert text.count("Measured on") == 2


def test_an_undeclared_benchmark_writes_nothing(tmp_path: Path) -> None:
    there = tmp_path / "benchmarks.md"

    with pytest.raises(KeyError, match="add it to SECTIONS"):
        page.write_section("weather", title="Weather", lines=[], page=there)

    assert not there.exists()


def test_every_section_is_a_module_that_make_bench_can_run() -> None:
    folder = Path(page.__file__).parent

    assert [name for name in page.SECTIONS if not (folder / f"{name}.py").is_file()] == []


def test_contestants_take_turns() -> None:
    called: list[str] = []

    taken = interleaved({"a": lambda: called.append("a"), "b": lambda: called.append("b")})

    assert called == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(timings) for name, timings in taken.items()} == {"a": 3, "b": 3}


def test_ratios_are_taken_within_a_round() -> None:
    ours = [Timing(2, 2), Timing(20, 20), Timing(6, 6)]
    floor = [Timing(1, 2), Timing(10, 20), Timing(2, 6)]

    lines = table({"ours": ours, "floor": floor}, against="floor")

    assert lines[2] == "| ours | 6.00 | 6.00 | 2.00 | 1.00 | 3 |"

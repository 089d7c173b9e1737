import pytest

from embedded import setup


@pytest.mark.parametrize(
    ("usual_seconds", "rest"), [(1000, " s so far, usually 1000 s more"), (0, "longer than usual")]
)
def test_a_long_step_reports_its_remaining_time(
    capsys: pytest.CaptureFixture[str], usual_seconds: float, rest: str
) -> None:
    said = ""
    with setup._under_way("wheels", usual_seconds, every_seconds=0.01):
        while "\n" not in said:
            said += capsys.readouterr().out
    assert said.startswith("setup  wheels: 0 s so far, ")
    assert rest in said.splitlines()[0]

import pytest

from sources.registry import SOURCES
from sources.rules import Instant
from sources.time_patterns import has_hour, has_zone, pattern_problem, zone_variants


@pytest.mark.parametrize(
    ("pattern", "variants"),
    [
        ("dd.MM.yyyy[ HH:mm]", ["dd.MM.yyyy[ HH:mm]"]),
        ("yyyy-MM-dd'[X]' HHXXX", ["yyyy-MM-dd'[X]' HHXXX"]),
        ("yyyy-MM-dd[ HH[:mm][X]]", ["yyyy-MM-dd HH[:mm]X", "yyyy-MM-dd", "yyyy-MM-dd[ HH[:mm]]"]),
        ("yyyy[ z][X]", ["yyyy zX", "yyyy z", "yyyyX", "yyyy"]),
    ],
)
def test_a_pattern_is_divided_into_some_with_a_zone_and_some_without(
    pattern: str, variants: list[str]
) -> None:
    assert zone_variants(pattern) == variants
    assert not any(has_zone(one) for one in variants if "X" not in one and "z" not in one)


def test_a_pattern_says_whether_it_has_an_hour() -> None:
    assert [has_hour(one) for one in ("yyyy-MM-dd", "d.M.y 'H'", "y-M-d h a")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%Y-%m-%d %H:%M:%S", "is in Python's letters"),
        ("YYYY-MM-DD HH:mm:ss", "has YYYY, which is read as no time: the year is y"),
        ("yyyy-MM-DD", "the day of the month is d"),
        ("yyyy-mm-dd HH:mm:ss", "lacks the year y, the month M or the day d"),
        ("yyyy-MM-dd hh:mm:ss", "write HH"),
        ("yyyy-MM-ddTHH:mm:ss", "write 'T' in quotes"),
        ("HH:mm", "lacks the year"),
        ("yyyy-MM-ddd", "has ddd, which is 3 times d"),
        ("yyyy-MM-dd [HH", "a bracket without its other one"),
        ("yyyy-MM-dd HH]", "a bracket without its other one"),
        ("yyyy-MM-dd 'at HH", "the character '"),
        ("yyyy-MM-dd {HH}", "the character {"),
        ("EEE dd MMM yyyy", "has EEE, which is read as no time"),
        ("", "lacks the year"),
    ],
)
def test_a_pattern_that_reads_no_time_is_named_with_the_right_letters(
    pattern: str, said: str
) -> None:
    problem = str(pattern_problem(pattern))
    assert problem.startswith(f"the pattern {pattern!r} ")
    assert said in problem
    assert problem.endswith("the letters of java.time are as in yyyy-MM-dd HH:mm:ss")


@pytest.mark.parametrize(
    "pattern",
    [
        *("yyyy-MM-dd HH:mm:ss", "dd.MM.yyyy", "M/d/yy h:mm a", "yyyyMMddHHmmssSSS", "yyyy-DDD"),
        *("dd MMM yyyy HH:mm:ss Z", "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "yyyy-MM-dd HH:mm:ss VV"),
    ],
)
def test_a_pattern_of_java_time_is_accepted(pattern: str) -> None:
    assert pattern_problem(pattern) is None


def test_the_patterns_of_our_sources_are_accepted() -> None:
    rules = [
        rule
        for source in SOURCES.values()
        for version in source.versions
        for rule in version.mapping.values()
    ]
    patterns = {one.pattern for rule in rules if isinstance(rule, Instant) for one in rule.patterns}
    assert patterns
    assert {pattern_problem(one) for one in patterns} == {None}

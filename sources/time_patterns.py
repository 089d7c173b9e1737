"""Patterns of java.time for times in text, as Spark reads them, checked without Java."""

import re
from collections.abc import Container
from typing import Final

_LETTERS: Final[dict[str, Container[int]]] = {
    **dict.fromkeys("dHhKkms", range(1, 3)),
    **dict.fromkeys("MLGz", range(1, 5)),
    **dict.fromkeys("XxZ", range(1, 6)),
    "y": range(1, 7),
    "D": range(1, 4),
    "S": range(1, 10),
    "a": range(1, 2),
    "O": (1, 4),
    "V": (2,),
}
"""How often each letter may stand: what java.time allows and Spark does not refuse for parsing."""
_HINTS: Final = {
    "Y": "the year is y",
    "T": "write 'T' in quotes",
    "f": "fractions of a second are S",
    "n": "fractions of a second are S",
    "p": "AM or PM is a",
    "P": "AM or PM is a",
    "A": "AM or PM is a",
    "t": "AM or PM is a",
    "i": "the minute is m",
    "I": "the minute is m",
}
_TOKEN: Final = re.compile(r"'[^']*'|(?P<letters>([A-Za-z])\2*)|(?P<other>.)", re.DOTALL)
_ZONES: Final = frozenset("XxZzVO")
_HOURS: Final = frozenset("HhKk")
_FIELDS: Final = {
    **dict.fromkeys("HhKkms", r"\d{1,2}"),
    **dict.fromkeys(_ZONES, r"[-+:\w/]+"),
    "S": r"\d+",
    "a": r"[\w.]+",
    "G": r"\w+",
    "d": r"(?P<d>\d{1,2})",
    "dd": r"(?P<d>\d{2})",
    **dict.fromkeys(("M", "L"), r"(?P<m>\d{1,2})"),
    **dict.fromkeys(("MM", "LL"), r"(?P<m>\d{2})"),
    **dict.fromkeys(("MMM", "MMMM", "LLL", "LLLL"), r"(?P<m>[a-z]+)\.?"),
    "y": r"(?P<y>\d+)",
    "yy": r"(?P<y>\d{2})",
    "yyyy": r"(?P<y>\d{4})",
    **dict.fromkeys(("HH", "hh", "KK", "kk", "mm", "ss"), r"\d{2}"),
}
"""Regular expressions of RE2 for letters; of a run of others its first letter counts."""
_MEANT: Final = "the letters of java.time are as in yyyy-MM-dd HH:mm:ss"


def pattern_problem(pattern: str) -> str | None:
    """Say why no time can be read by a pattern, or None.

    >>> pattern_problem("dd.MM.yyyy HH:mm") is None
    True
    >>> pattern_problem("%Y-%m-%d")
    "the pattern '%Y-%m-%d' is in Python's letters: the letters of java.time are as in \
yyyy-MM-dd HH:mm:ss"
    """
    if "%" in pattern:
        return f"the pattern {pattern!r} is in Python's letters: {_MEANT}"
    problem = _mistake(pattern)
    return problem and f"the pattern {pattern!r} {problem}; {_MEANT}"


def _mistake(pattern: str) -> str | None:
    letters, depth = set[str](), 0
    for token in _TOKEN.finditer(pattern):
        if run := token["letters"]:
            letter = run[0]
            letters.add(letter)
            if letter not in _LETTERS:
                return f"has {run}, which is read as no time: {_HINTS.get(letter, 'leave it out')}"
            if len(run) not in _LETTERS[letter]:
                return f"has {run}, which is {len(run)} times {letter}"
        elif token["other"] and token["other"] in "{}#'":
            return f"has the character {token['other']}, which has no meaning there"
        depth += {"[": 1, "]": -1}.get(token["other"] or "", 0)
        if depth < 0:
            break
    if depth:
        return "has a bracket without its other one"
    has_month = bool(letters & {"M", "L"})
    if has_month and "D" in letters:
        return "has a month and D, the day of the year: the day of the month is d"
    if not ("y" in letters and ("D" in letters or ("d" in letters and has_month))):
        return "lacks the year y, the month M or the day d"
    if letters & {"h", "K"} and "a" not in letters:
        return "counts hours to 12 (h) without AM or PM (a): write HH"
    return None


def has_zone(pattern: str) -> bool:
    """Return whether a time that is written by a pattern has its own zone."""
    return any(bool(set(one["letters"] or "") & _ZONES) for one in _TOKEN.finditer(pattern))


def has_hour(pattern: str) -> bool:
    """Return whether a time that is written by a pattern has an hour."""
    return any(bool(set(one["letters"] or "") & _HOURS) for one in _TOKEN.finditer(pattern))


def zone_variants(pattern: str) -> list[str]:
    """Return patterns that together read the same times, each always or never with a zone.

    >>> zone_variants("yyyy-MM-dd'T'HH:mm[:ss][XXX]")
    ["yyyy-MM-dd'T'HH:mm[:ss]XXX", "yyyy-MM-dd'T'HH:mm[:ss]"]
    """
    opened: list[int] = []
    for token in _TOKEN.finditer(pattern):
        if token[0] == "[":
            opened.append(token.end())
        elif token[0] == "]":
            start = opened.pop()
            section = pattern[start : token.start()]
            before, after = pattern[: start - 1], pattern[token.end() :]
            if has_zone(section):
                variants = (f"{before}{section}{after}", before + after)
                return [one for variant in variants for one in zone_variants(variant)]
    return [pattern]


def date_expression(pattern: str) -> str | None:
    r"""Return the regular expression of times that a pattern reads, with the groups y, m and d.

    None for a pattern with the day of the year, or that names a part of the date twice.

    >>> date_expression("d/M/yy[ HH]")
    '(?i)^(?P<d>\\d{1,2})/(?P<m>\\d{1,2})/(?P<y>\\d{2})(?:\\ \\d{2})?$'
    """
    parts = []
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if run := token["letters"]:
            parts.append(_FIELDS.get(run) or _FIELDS.get(run[0], ""))
        elif text in "[]":
            parts.append("(?:" if text == "[" else ")?")
        else:
            parts.append(re.escape(text.replace("''", "'") if text == "''" else text.strip("'")))
    expression = "".join(parts)
    is_whole = all(expression.count(f"(?P<{name}>") == 1 for name in "ymd")
    return f"(?i)^{expression}$" if is_whole else None

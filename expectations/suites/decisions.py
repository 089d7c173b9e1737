"""Rules of the decision log on its way: log → Raw → STAGING."""

from collections.abc import Mapping
from typing import Final

from contracts.render.to_gx import Rule, equal
from expectations.suites.comparisons import zero

_NEVER_CHANGES: Final = "a decision that was given never changes, so its day lands once"


def object_rules() -> tuple[Rule, ...]:
    """Return the rules on the objects of a day, compared with the store."""
    return (
        equal("bytes_stored", "bytes", "Raw keeps objects unchanged"),
        equal("sha256_stored", "sha256", "Raw keeps objects unchanged"),
    )


def day_rules() -> tuple[Rule, ...]:
    """Return the rules on the summary of a day."""
    return (
        zero("objects_more", _NEVER_CHANGES, what="landed_once"),
        zero("rows_changed", "a row has the hash of its content", what="chained"),
        equal("rows_landed", "rows_logged", "Raw has each decision of the log"),
    )


SENTENCES: Final[Mapping[str, str]] = {
    "landed_once": (
        "the decisions of the day have landed before with other content: `python -m serving.audit"
        " verify` names a row of the log that was changed, and Raw has both versions"
    ),
    "chained": (
        "a decision has not the hash of its content: `python -m serving.audit verify` names the row"
    ),
    "equals_rows_logged": "Raw has another number of decisions than the log",
}
"""What a failed rule on the summary of a day means, by its short name."""

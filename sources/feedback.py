"""Feedback of analysts: labels that the platform states itself, for a payment of any source.

They land beside the payments that they name, as JSON lines below `<source>/feedback/`.
"""

from typing import Final

from sources.declaration import FileColumn, LabelFeed, Source, Version
from sources.manifest import RawObject
from sources.rules import ISO_TIME, Coded, Instant, Take

FEEDBACK: Final = Version(
    1,
    "The feedback of analysts.",
    tuple(map(FileColumn, ("transaction_id", "is_fraud", "known_at", "label_source"))),
    {
        "event_id": Take("transaction_id"),
        "is_fraud": Take("is_fraud"),
        "label_known_at": Instant(("known_at",), ISO_TIME),
        "label_source": Coded("label_source", {}),
    },
)
"""The layout of an object of feedback."""


def label_layout(source: Source, item: RawObject) -> Version | None:
    """Return the layout of an object of labels; None if its source no longer has a label feed."""
    if item.is_feedback:
        return FEEDBACK
    return source.labels.version if isinstance(source.labels, LabelFeed) else None

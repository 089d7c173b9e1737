"""Times as Spark answers them."""

from datetime import UTC, datetime


def utc(value: object) -> object:
    """Return a time that Spark answered in this machine's zone as UTC; other values as they are."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value

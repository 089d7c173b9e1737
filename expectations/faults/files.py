"""Faults in the bytes of a delivered file of any format."""


def truncated_file(content: bytes, severity: float) -> bytes:
    """Lose the last share of a file's bytes, as a broken transfer does."""
    return content[: round(len(content) * (1 - severity))]


def stale_file(yesterday: bytes) -> bytes:
    """Deliver yesterday's file under today's name, byte for byte."""
    return yesterday

"""What sqlfluff reads for dbt's `adapter`: a dialect macro is its first argument, or its name."""

from collections.abc import Callable

_QUERIES = ("deduplicate",)
"""Macros that are a query of the relation they are given."""


def dispatch(name: str, package: str) -> Callable[..., str]:
    """Return a macro that renders as something of its kind."""
    if name in _QUERIES:
        return lambda relation, *_: f"select * from {relation}"  # noqa: S608 - read, never run
    return lambda *arguments: arguments[0] if arguments else name

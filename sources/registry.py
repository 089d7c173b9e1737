"""The source systems that the platform knows."""

from typing import Final

from sources.declaration import Source
from sources.errors import UnknownSourceError
from sources.handbook import HANDBOOK
from sources.sparkov import SPARKOV

DEFAULT_SOURCE: Final = SPARKOV.name
"""The source that ships with the platform and that a form offers first."""
SOURCES: Final[dict[str, Source]] = {declared.name: declared for declared in (SPARKOV, HANDBOOK)}


def source(name: str) -> Source:
    """Return the declaration of a source.

    Raises:
        UnknownSourceError: naming the sources that exist.
    """
    if name not in SOURCES:
        known = ", ".join(sorted(SOURCES))
        raise UnknownSourceError(f"No source is called {name!r}: the declared ones are {known}.")
    return SOURCES[name]

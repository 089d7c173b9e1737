"""The source systems that the platform knows."""

from typing import Final

from sources.aws_fraud import AWS_FRAUD
from sources.declaration import Source
from sources.errors import UnknownSourceError
from sources.feeds import BANKING_FEED, CARD_FEED
from sources.handbook import HANDBOOK
from sources.paysim import PAYSIM1, PAYSIM2
from sources.sffsd import SFFSD
from sources.sparkov import SPARKOV

DEFAULT_SOURCE: Final = SPARKOV.name
"""The source that ships with the platform and that a form offers first."""
SOURCES: Final[dict[str, Source]] = {
    declared.name: declared
    for declared in (
        SPARKOV,
        HANDBOOK,
        PAYSIM1,
        PAYSIM2,
        AWS_FRAUD,
        SFFSD,
        CARD_FEED,
        BANKING_FEED,
    )
}


def source(name: str) -> Source:
    """Return the declaration of a source.

    Raises:
        UnknownSourceError: naming the sources that exist.
    """
    if name not in SOURCES:
        known = ", ".join(sorted(SOURCES))
        raise UnknownSourceError(f"No source is called {name!r}: the declared ones are {known}.")
    return SOURCES[name]

"""The registry of source systems."""

from pathlib import Path
from typing import Final

from contracts.settings import get_settings
from sources.aws_fraud import AWS_FRAUD
from sources.declaration import Source
from sources.errors import MappingError, UnknownSourceError
from sources.feeds import BANKING_FEED, CARD_FEED
from sources.handbook import HANDBOOK
from sources.paysim import PAYSIM1, PAYSIM2
from sources.sffsd import SFFSD
from sources.simulator import SIMULATOR
from sources.sparkov import SPARKOV

DEFAULT_SOURCE: Final = SPARKOV.name
"""The source that ships with the platform, the default of forms."""
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
        SIMULATOR,
    )
}


def names() -> list[str]:
    """Return the names of all sources, including mapping files, without reading the files."""
    return sorted({*SOURCES, *_files()})


def source(name: str) -> Source:
    """Return the declaration of a source, built-in or from a mapping file.

    Raises:
        UnknownSourceError: with the names of all sources.
        MappingError: when its mapping file has mistakes.
    """
    declared = find(name)
    if declared is None:
        declared_names = ", ".join(names())
        raise UnknownSourceError(
            f"No source is called {name!r}: the declared ones are {declared_names}."
        )
    return declared


def find(name: str) -> Source | None:
    """Return the declaration of a source, or None when no source has this name.

    Raises:
        MappingError: when its mapping file has mistakes.
    """
    if name in SOURCES:
        return SOURCES[name]
    if name not in (files := _files()):
        return None
    from sources.mapping_file import read

    return read(files[name])


def declared_in(mapping: Path) -> Source:
    """Return the declaration in a mapping file, wherever it lies.

    Raises:
        MappingError: when it has mistakes, or the name of one of our sources.
    """
    from sources.mapping_file import read

    declared = read(mapping)
    if declared.name in SOURCES:
        raise MappingError(f"{declared.name} is a built-in source: choose another name.")
    return declared


def _files() -> dict[str, Path]:
    """Return the mapping files by source name, except for names of built-in sources."""
    folder = get_settings().mappings_dir
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.stem not in SOURCES}

"""The source systems that the platform knows."""

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


def names() -> list[str]:
    """Return the names of all sources, those of mapping files too, without reading one."""
    return sorted({*SOURCES, *_files()})


def source(name: str) -> Source:
    """Return the declaration of a source: one of ours, or that of a mapping file.

    Raises:
        UnknownSourceError: naming the sources that exist.
        MappingError: when its mapping file has mistakes.
    """
    found = find(name)
    if found is None:
        known = ", ".join(names())
        raise UnknownSourceError(f"No source is called {name!r}: the declared ones are {known}.")
    return found


def find(name: str) -> Source | None:
    """Return the declaration of a source, or None when there is none of this name.

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
        raise MappingError(f"{declared.name} is a source of ours: call yours by another name.")
    return declared


def _files() -> dict[str, Path]:
    """Return the mapping files by the names of their sources; ours cannot be declared again."""
    folder = get_settings().mappings_dir
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.stem not in SOURCES}

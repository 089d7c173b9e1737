"""Discovery of the files in which a source delivers a window, and of those that are none."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from contracts.printable import printable
from contracts.windows import Window, WindowError
from sources.declaration import LabelFeed, Source
from sources.errors import WindowNotDeliveredError
from sources.registry import source as declared

_HIDDEN_STARTS: Final = (".", "_", "~$")
"""How the names of hidden files, of marks such as _SUCCESS, and of locks of open files start."""
_RESOURCES: Final = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "lost+found", "$recycle.bin"}
)
"""What file managers and file servers leave in a folder."""
_ARCHIVES: Final = frozenset(
    {".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".tar", ".7z", ".rar"}
)
_DATE_AT_START: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_QUOTED: Final = 5
"""Files that an error names."""


@dataclass(frozen=True)
class Delivery:
    """A delivered file, or a part of a delivery that is the folder `part_of`."""

    path: Path
    part_of: str = ""

    @property
    def stem(self) -> str:
        """Return the business date, or the name of a complete delivery."""
        return _stem(self.part_of) if self.part_of else self.path.stem

    @property
    def name(self) -> str:
        """Return the name, in which a part follows its folder."""
        return printable(f"{self.part_of}/{self.path.name}" if self.part_of else self.path.name)

    @property
    def kind(self) -> str:
        """Return the format as the name ends, in small letters."""
        return self.path.suffix.lower().removeprefix(".")


def deliveries(
    window: Window,
    data_dir: Path,
    folders: Mapping[str, Path] = MappingProxyType({}),
    closed_days: Sequence[date] = (),
) -> list[Delivery]:
    """Return the files of a window, oldest first.

    A source delivers into `<data_dir>/<source>/transactions`, or into its folder of `folders`. A
    file that is named by the dates of the window is the whole delivery. Otherwise, a daily source
    has one file for each date that is not closed, and any other source delivers all files of the
    folder. In a source that declares `part_files`, a folder of files stands for a file. The source
    is closed on `closed_days` too.

    Raises:
        WindowNotDeliveredError: when there is no such file, or a date of the window has no file.
    """
    system = declared(window.source).closed_on(closed_days)
    return _delivered(window, system, _folder(window, data_dir, folders))


def label_deliveries(
    window: Window, data_dir: Path, folders: Mapping[str, Path] = MappingProxyType({})
) -> list[Delivery]:
    """Return the files of a window's label feed, oldest first; none if its source has no such feed.

    They lie in the folder `labels` beside that of the payments, a file for each date of the window.

    Raises:
        WindowNotDeliveredError: when a date of the window has no file.
    """
    system = declared(window.source)
    if not isinstance(system.labels, LabelFeed):
        return []
    folder = _folder(window, data_dir, folders).parent / "labels"
    files = replace(system, formats=("jsonl",), closed_days=(), delivers="daily", part_files=False)
    return _delivered(window, files, folder, "labels of ")


def _delivered(window: Window, system: Source, folder: Path, what: str = "") -> list[Delivery]:
    """Return the files of a window in a folder; `what` begins the sentence on a missing one.

    Raises:
        WindowNotDeliveredError: when there is none, or a date of the window has no file.
    """
    files, others = _listed(system, folder)
    if window.span in files:
        return files[window.span]
    left = f" Not taken: {'; '.join(others[:_QUOTED])}." if others else ""
    if system.delivers == "whole":
        if not files and not all(map(system.is_closed, window.dates())):
            raise WindowNotDeliveredError(
                f"{window.source} has not delivered the window {window.span}: no file ends in"
                f" {' or '.join(system.suffixes)} in {folder}. Put the delivery there.{left}"
            )
        return [file for stem in sorted(files) for file in files[stem]]
    days = [day.isoformat() for day in window.dates()]
    missing = [
        day.isoformat()
        for day in window.dates()
        if day.isoformat() not in files and not system.is_closed(day)
    ]
    if missing:
        more = f" and {len(missing) - 3} more days" if len(missing) > 3 else ""
        stems = sorted(files)
        content = f"it has delivered {stems[0]} to {stems[-1]}" if stems else "its folder is empty"
        raise WindowNotDeliveredError(
            f"{window.source} has not delivered {what}{', '.join(missing[:3])}{more} of the window"
            f" {window.span}: {content}. Choose a window that was delivered.{left}"
        )
    return [file for day in days for file in files.get(day, ())]


def not_taken(
    window: Window, data_dir: Path, folders: Mapping[str, Path] = MappingProxyType({})
) -> tuple[str, ...]:
    """Return a sentence for each file beside the deliveries that is none, except hidden files.

    What is named by a date outside the window belongs to another window.
    """
    system = declared(window.source)
    files, others = _listed(system, _folder(window, data_dir, folders))
    dates = {day.isoformat() for day in window.dates()}
    beside = []
    if window.span in files:
        stems = files if system.delivers == "whole" else dates & files.keys()
        beside = [
            f"{file.name} stands beside {files[window.span][0].name}, the whole delivery"
            for stem in sorted(stems)
            if stem != window.span
            for file in files[stem]
        ]
    dated = [(one, _DATE_AT_START.match(one)) for one in others]
    return (*beside, *(one for one, day in dated if day is None or day[0] in dates))


def _folder(window: Window, data_dir: Path, folders: Mapping[str, Path]) -> Path:
    return folders.get(window.source, data_dir / window.source / "transactions")


def _listed(system: Source, folder: Path) -> tuple[dict[str, list[Delivery]], list[str]]:
    """Return the deliveries of a folder by their stems, and a sentence for each other file."""
    files: dict[str, list[Delivery]] = {}
    others = []
    order = {suffix: number for number, suffix in enumerate(system.suffixes)}
    paths = sorted(
        folder.glob("*"), key=lambda path: (order.get(path.suffix.lower(), len(order)), path.name)
    )
    for path in paths:
        if _is_hidden(path):
            continue
        name, stem = printable(path.name), _stem(path.name)
        reason = _reason(system, path, stem)
        if reason is None and stem in files:
            reason = f"delivers {stem} again, beside {files[stem][0].name}"
        if reason is not None:
            others.append(f"{name} {reason}")
        elif path.is_dir():
            parts = [part for part in sorted(path.iterdir()) if not _is_hidden(part)]
            files[stem] = [Delivery(part, path.name) for part in parts if _is_read(system, part)]
            others += [
                f"{name}/{printable(part.name)} {_reason(system, part)}"
                for part in parts
                if not _is_read(system, part)
            ]
        else:
            files[stem] = [Delivery(path)]
    return files, others


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(_HIDDEN_STARTS) or path.name.lower() in _RESOURCES


def _is_read(system: Source, path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in system.suffixes


def _stem(name: str) -> str:
    """Return the name of a delivery without its ending, also of a folder that Spark wrote."""
    return Path(name).stem


def _reason(system: Source, path: Path, stem: str | None = None) -> str | None:
    """Say why a file is no delivery, or None; a part has no stem."""
    ends = " or ".join(system.suffixes)
    if path.is_dir():
        if stem is None or not system.part_files:
            return "is a folder: put its files here, or declare part_files"
        if not any(_is_read(system, part) for part in path.iterdir() if not _is_hidden(part)):
            return f"is a folder in which no file ends in {ends}"
    elif path.suffix.lower() in _ARCHIVES:
        return f"is an archive: unpack it to a file that ends in {ends}"
    elif path.suffix.lower() not in system.suffixes:
        return f"does not end in {ends}"
    elif not path.is_file():
        return "is no file that can be read"
    if stem is not None and system.delivers == "daily" and not _is_span(system, stem):
        return "is not named by a date, as 2024-03-01, or by the dates of a window"
    return None


def _is_span(system: Source, stem: str) -> bool:
    try:
        Window.of(system.name, stem)
    except WindowError:
        return False
    return True

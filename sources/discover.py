"""Find the files in which a source delivers a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from contracts.windows import Window
from sources.errors import WindowNotDeliveredError
from sources.registry import source as declared


@dataclass(frozen=True)
class Delivery:
    """A file as the source made it; `stem` is its business date, or names a whole file."""

    path: Path

    @property
    def stem(self) -> str:
        """Return the name without its suffix."""
        return self.path.stem


def deliveries(
    window: Window, data_dir: Path, folders: Mapping[str, Path] = MappingProxyType({})
) -> list[Delivery]:
    """Return the files that hold a window, oldest first.

    A source delivers into `<data_dir>/<source>/transactions`, or where `folders` says. A file that
    is named by the window's dates holds all of it. Without one, a source that delivers daily has a
    file named by each date, and one that delivers whole files has all that lie there.

    Raises:
        WindowNotDeliveredError: when there is no such file, or a date of the window has none.
    """
    system = declared(window.source)
    folder = folders.get(window.source, data_dir / window.source / "transactions")
    held = {
        path.stem: path
        for path in sorted(folder.glob("*"), reverse=True)
        if path.suffix in system.suffixes and path.is_file()
    }
    if window.span in held:
        return [Delivery(held[window.span])]
    if system.delivers == "whole":
        if not held:
            raise WindowNotDeliveredError(
                f"{window.source} has not delivered the window {window.span}: no file ends in"
                f" {' or '.join(system.suffixes)} where it delivers. Put the delivery there."
            )
        return [Delivery(held[stem]) for stem in sorted(held)]
    days = [day.isoformat() for day in window.dates()]
    missing = [day for day in days if day not in held]
    if missing:
        more = f" and {len(missing) - 3} more days" if len(missing) > 3 else ""
        known = sorted(held)
        there = f"it holds {known[0]} to {known[-1]}" if known else "it is empty"
        raise WindowNotDeliveredError(
            f"{window.source} has not delivered {', '.join(missing[:3])}{more} of the window"
            f" {window.span}: {there}. Land a window that was delivered."
        )
    return [Delivery(held[day]) for day in days]

"""Discovery of the files in which a source delivers a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from contracts.windows import Window
from sources.errors import WindowNotDeliveredError
from sources.registry import source as declared


@dataclass(frozen=True)
class Delivery:
    """A delivered file; `stem` is its business date, or the name of a complete delivery."""

    path: Path

    @property
    def stem(self) -> str:
        """Return the name without its suffix."""
        return self.path.stem


def deliveries(
    window: Window, data_dir: Path, folders: Mapping[str, Path] = MappingProxyType({})
) -> list[Delivery]:
    """Return the files of a window, oldest first.

    A source delivers into `<data_dir>/<source>/transactions`, or into its folder of `folders`. A
    file that is named by the dates of the window is the whole delivery. Otherwise, a daily source
    has one file for each date, and any other source delivers all files of the folder.

    Raises:
        WindowNotDeliveredError: when there is no such file, or a date of the window has no file.
    """
    system = declared(window.source)
    folder = folders.get(window.source, data_dir / window.source / "transactions")
    files = {
        path.stem: path
        for path in sorted(folder.glob("*"), reverse=True)
        if path.suffix in system.suffixes and path.is_file()
    }
    if window.span in files:
        return [Delivery(files[window.span])]
    if system.delivers == "whole":
        if not files:
            raise WindowNotDeliveredError(
                f"{window.source} has not delivered the window {window.span}: no file ends in"
                f" {' or '.join(system.suffixes)} in {folder}. Put the delivery there."
            )
        return [Delivery(files[stem]) for stem in sorted(files)]
    days = [day.isoformat() for day in window.dates()]
    missing = [day for day in days if day not in files]
    if missing:
        more = f" and {len(missing) - 3} more days" if len(missing) > 3 else ""
        stems = sorted(files)
        content = f"it has delivered {stems[0]} to {stems[-1]}" if stems else "its folder is empty"
        raise WindowNotDeliveredError(
            f"{window.source} has not delivered {', '.join(missing[:3])}{more} of the window"
            f" {window.span}: {content}. Choose a window that was delivered."
        )
    return [Delivery(files[day]) for day in days]

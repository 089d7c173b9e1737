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
    """A file as the source made it; `stem` is its business date."""

    path: Path

    @property
    def stem(self) -> str:
        """Return the name without its suffix."""
        return self.path.stem


def deliveries(
    window: Window, data_dir: Path, folders: Mapping[str, Path] = MappingProxyType({})
) -> list[Delivery]:
    """Return the daily files of a window, oldest first.

    A source delivers into `<data_dir>/<source>/transactions`, or where `folders` says.

    Raises:
        WindowNotDeliveredError: when a date of the window has no file.
    """
    folder = folders.get(window.source, data_dir / window.source / "transactions")
    suffix = declared(window.source).file_suffix
    files = [folder / f"{day.isoformat()}{suffix}" for day in window.dates()]
    missing = [file.stem for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more days" if len(missing) > 3 else ""
        known = sorted(file.stem for file in folder.glob(f"*{suffix}"))
        held = f"it holds {known[0]} to {known[-1]}" if known else "it is empty"
        raise WindowNotDeliveredError(
            f"{window.source} has not delivered {', '.join(missing[:3])}{more} of the window"
            f" {window.span}: {held}. Land a window that was delivered."
        )
    return [Delivery(file) for file in files]

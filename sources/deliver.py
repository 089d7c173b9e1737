"""Find the files in which a source delivers a window."""

from dataclasses import dataclass
from pathlib import Path

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


def deliveries(window: Window, data_dir: Path) -> list[Delivery]:
    """Return the daily files of a window, oldest first.

    Raises:
        WindowNotDeliveredError: when a date of the window has no file.
    """
    folder = data_dir / window.source / "transactions"
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

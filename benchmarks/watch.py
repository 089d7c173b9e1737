"""Sample the memory of services and the speed of the machine while a benchmark runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import thread_time
from typing import Final

from contracts.settings import Settings
from embedded.console import service_rows

LOOK_SECONDS: Final = 2.0
_STEPS: Final = 100_000


def work() -> float:
    """Do a fixed piece of work and return its CPU seconds.

    They exclude the time of waiting for a processor, and grow on a slower or shared one, so they
    make the seconds of two runs comparable.
    """
    began = thread_time()
    sum(n * n % 7 for n in range(_STEPS))
    return thread_time() - began


@dataclass
class Watch:
    """The peak memory of each service in MiB, and the seconds of `work` for each sample.

    Memory is the proportional set size where the system has it.
    """

    peaks: dict[str, float] = field(default_factory=dict)
    together: float = 0.0
    paces: list[float] = field(default_factory=list)

    @property
    def pace(self) -> float:
        """Return the median of the seconds of the fixed piece of work."""
        return median(self.paces)

    @contextmanager
    def over(self, settings: Settings) -> Iterator[None]:
        """Sample every two seconds while the block runs."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(LOOK_SECONDS):
                self._look(settings)

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _look(self, settings: Settings) -> None:
        memory = {row["name"]: row["resident_mib"] for row in service_rows(settings)}
        self.together = max(self.together, sum(memory.values()))
        for name, mib in memory.items():
            self.peaks[name] = max(self.peaks.get(name, 0.0), mib)
        self.paces.append(work())

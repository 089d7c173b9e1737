"""What gates and task attempts report, and the balances of a stage (see `stage_results`)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from contracts.windows import Window

_NAMED: Final = 3
"""Failed checks that the message of a gate names."""


class ConservationError(RuntimeError):
    """Raised when rows or money that went into a stage are not all accounted for."""


@dataclass(frozen=True)
class Balance:
    """Rows and money through one stage, for one source system and currency.

    `restated` is what rows of Raw are worth more, or less, than when they came in, since the rules
    that read them were mended: an amount that could not be read, a currency that was taken for
    another. Over all currencies no row is restated, a row only moves from one to another.
    """

    source_system: str
    currency: str
    rows_in: int
    rows_out: int
    rows_quarantined: int = 0
    rows_duplicate: int = 0
    amount_in: Decimal = Decimal("0.00")
    amount_out: Decimal = Decimal("0.00")
    amount_quarantined: Decimal = Decimal("0.00")
    amount_duplicate: Decimal = Decimal("0.00")
    rows_restated: int = 0
    amount_restated: Decimal = Decimal("0.00")

    def check(self, stage: str) -> None:
        """Prove that in + restated = out + quarantined + duplicate, in rows and to the cent.

        Raises:
            ConservationError: naming the stage and by how much it is off.
        """
        rows_out = self.rows_out + self.rows_quarantined + self.rows_duplicate
        amount_out = self.amount_out + self.amount_quarantined + self.amount_duplicate
        rows = self.rows_in + self.rows_restated - rows_out
        money = self.amount_in + self.amount_restated - amount_out
        if rows or money:
            raise ConservationError(
                f"{stage} does not balance for {self.source_system} in {self.currency}:"
                f" {rows} rows and {money} of money are unaccounted for."
            )


@dataclass(frozen=True)
class TaskAttempt:
    """What an attempt at a task of a run took of its machine.

    Figures of Spark are None for a task that did not use it, or uses one that is not ours.
    """

    run_id: str
    stage: str
    window: Window
    task: str
    attempt: int
    outcome: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    bytes_read: int | None = None
    bytes_written: int | None = None
    spark_cpu_seconds: float | None = None
    spark_peak_memory_mib: float | None = None


@dataclass(frozen=True)
class CheckResult:
    """One check of a gate.

    `sentence` says on its own what was observed and expected, where such a sentence exists.
    """

    name: str
    table: str
    severity: str
    passed: bool
    column: str | None = None
    observed: str | None = None
    expected: str | None = None
    reason: str | None = None
    sentence: str | None = None

    def __str__(self) -> str:
        said = self.sentence or f"observed {self.observed}, expected {self.expected}"
        return f"{self.name} on {self.table}: {said}"


class GateFailed(RuntimeError):
    """Raised when a gate closes; never retried, since the data will not heal by waiting."""


@dataclass(frozen=True)
class GateResult:
    """The result of a gate on a window."""

    gate: str
    window: Window
    run_id: str
    checks: tuple[CheckResult, ...]
    report: str | None = None

    @property
    def passed(self) -> bool:
        """Return whether no critical check failed; a gate without checks never passes."""
        return bool(self.checks) and all(
            check.passed for check in self.checks if check.severity == "critical"
        )

    def require(self) -> None:
        """Let the line go on only when the gate passed.

        Raises:
            GateFailed: with the first failed checks, those with a sentence before the others, and
                where the report is.
        """
        if self.passed:
            return
        failed = [c for c in self.checks if not c.passed and c.severity == "critical"]
        failed.sort(key=lambda check: check.sentence is None)
        what = "; ".join(map(str, failed[:_NAMED]))
        more = f"; and {len(failed) - _NAMED} more checks" if len(failed) > _NAMED else ""
        raise GateFailed(
            f"gate {self.gate} closed on window {self.window.key}:"
            f" {what or 'it ran no check'}{more}. Report: {self.report or 'staging.gate_results'}."
        )

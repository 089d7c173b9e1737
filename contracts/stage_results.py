"""What each stage reports: values that travel between tasks and into the run ledger."""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from contracts.results import Balance
from contracts.stages import Layer, Stage
from contracts.windows import Window


def _parsed(window: Any) -> Any:
    return Window.parse(window) if isinstance(window, str) else window


class ResultFormError(ValueError):
    """Raised when a recorded result has not the fields of the stage's result in this version."""


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What every stage reports of a window.

    `dates` are the business dates it wrote, `snapshots` the Iceberg snapshot of each table that the
    next stage has to read, `branch` the audit branch while it is not yet published. A stage adds
    fields in a subclass, which `to_dict` writes under `details`.
    """

    stage: ClassVar[Stage]

    window: Annotated[Window, BeforeValidator(_parsed), PlainSerializer(lambda window: window.key)]
    run_id: str
    dates: tuple[date, ...] = ()
    snapshots: dict[str, int] = field(default_factory=dict)
    branch: str | None = None
    balances: tuple[Balance, ...] = ()

    def check(self) -> Self:
        """Prove that every balance holds and return self.

        Raises:
            ConservationError: when one does not.
        """
        for balance in self.balances:
            balance.check(self.stage)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe form: the window as its key, dates as ISO text, money as text."""
        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a result from `to_dict`, also of an earlier version if it has the fields.

        Raises:
            ResultFormError: naming the fields that are missing or cannot be read.
        """
        try:
            return TypeAdapter(cls).validate_python(plain)
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            raise ResultFormError(
                f"the recorded result of {cls.stage} run {plain.get('run_id')} over the window"
                f" {plain.get('window')} cannot be read: {wrong}. Another version of the project"
                f" recorded it: run the stage {cls.stage} again for the window."
            ) from error

    @model_serializer(mode="wrap")
    def _apart(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        own = dump(self)
        shared = {f.name: own.pop(f.name) for f in fields(StageResult)}
        return {"stage": str(self.stage), **shared, "details": own}

    @model_validator(mode="before")
    @classmethod
    def _together(cls, plain: Any) -> Any:
        return {**plain, **plain.get("details", {})} if isinstance(plain, dict) else plain


@dataclass(frozen=True, kw_only=True)
class LandResult(StageResult):
    """Files of a window in Raw, and the manifest that lists them.

    `not_taken` says which files beside the deliveries are none; a window is `closed` when it has no
    rows and its source declares that.
    """

    stage = Stage.LAND

    manifest: str
    sequence: int
    objects: int
    new_objects: int
    bytes: int
    problems: tuple[str, ...]
    not_taken: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class FeedCounts:
    """What became of the rows of a label feed; those that are no label repeat others.

    `unreadable` rows lack a value or have one that cannot be read, and those `without_payment` name
    a payment that Processed does not have.
    """

    rows: int = 0
    labels: int = 0
    unreadable: int = 0
    without_payment: int = 0


@dataclass(frozen=True, kw_only=True)
class ProcessResult(StageResult):
    """Payments in Processed; `reasons` counts the quarantined rows by reason.

    `delivered_dates` are the dates of its deliveries, by which the quarantine is partitioned.
    `withdrawn` counts the payments of these and other deliveries that the run refused or removed
    because they are withdrawn. `label_feed` counts the rows of its label feed.
    """

    stage = Stage.PROCESS

    manifests: tuple[str, ...]
    reasons: dict[str, int]
    delivered_dates: tuple[date, ...]
    withdrawn: int = 0
    label_feed: FeedCounts = field(default_factory=FeedCounts)


@dataclass(frozen=True, kw_only=True)
class RedriveResult(StageResult):
    """Quarantined rows that were tried again: for which reasons, and what became of them."""

    stage = Stage.REDRIVE

    asked_for: tuple[str, ...]
    outcomes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RedrivenResult(ProcessResult):
    """The result of the stage process as it is after a redrive, and that of the redrive itself."""

    redrive: RedriveResult


@dataclass(frozen=True, kw_only=True)
class PrepareResult(StageResult):
    """Features and masked payments in Sandbox."""

    stage = Stage.PREPARE


@dataclass(frozen=True)
class Difference:
    """A measure of a group of rows that is not the same in the lake and in STAGING."""

    table: str
    group: str
    measure: str
    lake: str
    staging: str


@dataclass(frozen=True)
class StagedTable:
    """A shadow table of STAGING; `sequence` orders the snapshots of its source in the lake.

    `dates` are the dates that the load copied.
    """

    sequence: int
    rows: int
    dates: tuple[date, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class LoadResult(StageResult):
    """Tables staged beside STAGING, by the name of the table that they are for.

    `beside` are their names. If `withdrawn`, payments may have left the window.
    """

    stage = Stage.LOAD

    beside: dict[str, str]
    tables: dict[str, StagedTable]
    withdrawn: bool = False


@dataclass(frozen=True, kw_only=True)
class BuildResult(StageResult):
    """Marts of a layer as known on `as_of`, and the variables that dbt was given."""

    stage = Stage.BUILD

    layer: Layer
    as_of: date
    models: int
    tests: int
    variables: dict[str, str | list[list[str]]]


@dataclass(frozen=True)
class CandidateFigures:
    """How a candidate did in the validation folds and, where it can be said, on the test fold."""

    validation_average_precision: float
    validation_average_precision_sd: float
    training_average_precision: float
    test_average_precision: float | None


@dataclass(frozen=True, kw_only=True)
class TrainResult(StageResult):
    """A model version, what it was trained from, and the verdict of the model gate.

    `metrics` are the figures of the test fold, without those that are undefined there.
    """

    stage = Stage.TRAIN

    model_name: str
    model_version: int
    promoted: bool
    promoted_at: datetime | None
    verdict_reason: str
    refused_because: tuple[str, ...]
    candidate: str
    candidates: dict[str, CandidateFigures]
    metrics: dict[str, float]
    importances: dict[str, float]
    mlflow_run_id: str
    code_version: str
    trained_at: datetime
    feature_list_version: str
    unused_features: tuple[str, ...]
    as_of: datetime
    rows_unlabelled: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ScoreResult(StageResult):
    """Scores of a model version; once staged, the tables beside STAGING as in `LoadResult`.

    `lost_inputs` counts the rows without an input that the model had when it learnt.
    """

    stage = Stage.SCORE

    model_name: str
    model_version: int
    feature_list_version: str
    unused_features: tuple[str, ...]
    lost_inputs: dict[str, int]
    threshold: float
    rows: int
    alerts: int
    risk_levels: dict[str, int]
    seconds: float
    beside: dict[str, str] = field(default_factory=dict)

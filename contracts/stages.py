"""The stages of the line and the gates between them, in flow order."""

from enum import StrEnum
from typing import Final, Literal


class Stage(StrEnum):
    """A stage; its DAG is `contracts.assets.DAG_OF_STAGE[stage]`."""

    LAND = "land"
    PROCESS = "process"
    PREPARE = "prepare"
    LOAD = "load"
    BUILD = "build"
    TRAIN = "train"
    SCORE = "score"
    REDRIVE = "redrive"


WINDOW_STAGES: Final = (
    *(Stage.LAND, Stage.PROCESS, Stage.PREPARE),
    *(Stage.LOAD, Stage.BUILD, Stage.SCORE),
)
"""The stages that a window passes, in order."""

Layer = Literal["core", "scores", "models", "operations", "decisions"]
"""Stages outside of the way of a window from Raw to PRODUCTION."""


class Gate(StrEnum):
    """A gate, named after the store it guards."""

    RAW = "raw"
    PROCESSED = "processed"
    SANDBOX = "sandbox"
    STAGING = "staging"
    PRODUCTION = "production"
    SCORES = "scores"
    MODEL = "model"

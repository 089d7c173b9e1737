"""The stages of the line and the gates between them, in flow order."""

from enum import StrEnum


class Stage(StrEnum):
    """A stage; its DAG is `contracts.assets.DAG_OF_STAGE[stage]`."""

    LAND = "land"
    PROCESS = "process"
    PREPARE = "prepare"
    LOAD = "load"
    BUILD = "build"
    TRAIN = "train"
    SCORE = "score"


class Gate(StrEnum):
    """A gate, named after the store it guards."""

    RAW = "raw"
    PROCESSED = "processed"
    SANDBOX = "sandbox"
    STAGING = "staging"
    PRODUCTION = "production"
    SCORES = "scores"
    MODEL = "model"

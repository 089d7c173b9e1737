"""Errors that stop training or scoring until somebody acts; each message has the remedy."""


class NotEnoughHistory(ValueError):
    """Raised when too few labelled days or frauds are known to train."""


class NoChampion(LookupError):
    """Raised when no model of a source was ever promoted; train one first."""


class FeatureListChanged(ValueError):
    """Raised when the champion was trained on another feature list than the platform computes."""


class DuplicateEvents(ValueError):
    """Raised when a payment occurs twice, because it could be in both parts of a split."""


class UnreadableModel(ValueError):
    """Raised when the ONNX model of a version cannot be loaded, or reads other features."""

"""What stops training or scoring until someone acts; each sentence says what to do."""


class NotEnoughHistory(ValueError):
    """Raised when too few labelled days or frauds are known to train."""


class NoChampion(LookupError):
    """Raised when no model of a source was ever promoted; only training heals it."""


class FeatureListChanged(ValueError):
    """Raised when the champion was trained on another feature list than the platform computes."""


class DuplicateEvents(ValueError):
    """Raised when a payment occurs twice: it could stand on both sides of a split."""

"""Errors between a source and Raw."""


class SourceError(RuntimeError):
    """Base class of errors of a source, a delivery or Raw, which are not transient."""


class UnknownSourceError(SourceError):
    """Raised when no source of this name is declared."""


class WindowNotDeliveredError(SourceError):
    """Raised when a source has no delivery for the window, or only an empty one."""


class StoreRefusedError(SourceError):
    """Raised when the object store rejects the key or denies the operation."""


class StoreUnreachableError(ConnectionError):
    """Raised when the object store does not respond; the operation can be retried."""


class MappingError(SourceError):
    """Raised when a mapping file is invalid; the message lists the mistakes."""


class StreamBatchError(SourceError):
    """Raised when a batch of the stream differs from the batch that Raw has under its number."""

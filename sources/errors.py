"""What can go wrong between a source and Raw, each said in one sentence."""


class SourceError(RuntimeError):
    """Anything wrong with a source, a delivery or Raw; waiting does not heal it."""


class UnknownSourceError(SourceError):
    """No such source is declared."""


class WindowNotDeliveredError(SourceError):
    """The source has no delivery for the window, or none with content."""


class StoreRefusedError(SourceError):
    """The object store does not accept our key, or the key may not do this."""


class StoreUnreachableError(ConnectionError):
    """The object store does not answer; trying again later may heal it."""


class MappingError(SourceError):
    """A mapping file declares no source, and why."""

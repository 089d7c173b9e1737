"""A Raw without messages of a stream."""

import shutil

from contracts.settings import Settings


def without_stream(settings: Settings) -> None:
    """Remove all that has landed of the simulated source, which no role may do."""
    raw = settings.state_dir / "s3" / "data" / settings.s3.raw_bucket
    shutil.rmtree(raw / "simulator", ignore_errors=True)

"""Run in a process of its own, since one process holds either a Connect or a classic session.

Writes a digest of a window's batch, computed by a classic session, then starts to process the
window and is killed when the first table is on its branch.
"""

import os
import signal
import sys
from pathlib import Path

from contracts.settings import get_settings
from contracts.windows import Window
from embedded import jars
from sources.manifest import find_latest
from sources.registry import source
from sources.store import s3_client
from spark.jobs import batch as written
from spark.jobs import process as job
from spark.session import session


def digest_rows(frame: "object") -> str:
    """Return a text of all rows in a fixed order, floats bit by bit."""
    rows = frame.selectExpr("to_json(struct(*)) AS row").collect()  # type: ignore[attr-defined]
    return "\n".join(sorted(row["row"] for row in rows))


def main(window_key: str, target: str) -> None:
    """Write the rows to `target`, then die in the middle of writing the tables."""
    settings = get_settings()
    alone = settings.model_copy(
        update={"spark": settings.spark.model_copy(update={"remote": None})}
    )
    classic = session(alone, [Path(path) for path in jars.class_path().split(":")])
    window = Window.of("sparkov", window_key)
    client, bucket = s3_client(settings, "processor"), settings.s3.raw_bucket
    manifest = find_latest(client, bucket, window)
    key_file = settings.pseudonym_key_file
    batch = written.load(classic, source("sparkov"), [manifest], bucket, key_file, ())
    Path(target).write_text(digest_rows(batch))

    write = written.write

    def write_and_die(*args: object) -> None:
        write(*args)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    written.write = write_and_die  # type: ignore[attr-defined]
    job.process(classic, [manifest], window, run_id="killed", raw_bucket=bucket, key_file=key_file)


if __name__ == "__main__":
    main(*sys.argv[1:])

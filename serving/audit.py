"""Audit of the decision log: ``python -m serving.audit verify``.

The command walks the chain of hashes, and compares it with the rows that have landed in Raw. It
prints a sentence with the position of the first row that is not as it was written, and returns 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from contracts.settings import Settings, load_settings
from serving.decision_chain import DECISIONS, ChainError, verify
from serving.landing import landed_heads
from sources.errors import SourceError
from sources.store import s3_client
from warehouse.errors import says_what_is_away


@says_what_is_away
def verify_log(dsn: str, s3: Any, bucket: str) -> int:
    """Verify the log against its chain and against Raw, and return the number of rows.

    Raises:
        ChainError: naming the position of the first row that is not as it was written.
        WarehouseLostError: when Postgres is away.
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the object store does not respond.
    """
    # Before the log is read, which only grows.
    heads = landed_heads(s3, bucket)
    query = f"select * from {DECISIONS.name} order by chain_position"  # noqa: S608 - our own names
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor("chain", row_factory=dict_row) as rows,
    ):
        return verify(rows.execute(query.encode()), heads)


def main(argv: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Verify the log; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving.audit", description=__doc__)
    parser.add_argument("command", choices=["verify"], help="verify the chain of hashes")
    parser.parse_args(argv)
    settings = settings or load_settings()
    s3, bucket = s3_client(settings, "processor"), settings.s3.raw_bucket
    try:
        rows = verify_log(settings.warehouse.dsn("loader"), s3, bucket)
    except (ChainError, ConnectionError, SourceError) as problem:
        sys.stderr.write(f"decision log  {problem}\n")
        return 1
    sys.stdout.write(f"decision log  verified: {rows:,} rows\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

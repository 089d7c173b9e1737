"""Report the outcome of delivered files: `python -m embedded.dry_run SOURCE FILE …`.

The rules of the pipeline run in a Spark session of this process, which takes 5 to 20 seconds to
start. It needs no running platform and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.places import java_environment, python
from sources.errors import SourceError
from sources.registry import declared_in, source
from spark.conf import READER_CONF
from spark.jobs.dry_run import dry_run, lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session() -> SparkSession:
    """Return a classic session on one core that reads local files."""
    os.environ.update({**java_environment(), "PYSPARK_PYTHON": python()})
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # A process that uses a Spark server leaves these variables to its children.
    for name in ("SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_API_MODE"):
        os.environ.pop(name, None)
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[1]")
        .appName("tollgate-dry-run")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config(map=READER_CONF)
        .config("spark.sql.shuffle.partitions", "1")
        # It ends before the better compiler pays: without it, CPU time falls by two fifths.
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main(argv: Sequence[str] | None = None) -> int:
    """Report on the files; return 1 when gate raw would refuse them or the call is wrong."""
    parser = argparse.ArgumentParser(prog="python -m embedded.dry_run", description=__doc__)
    parser.add_argument("source", help="name of a source, or a mapping file that ends in .yaml")
    parser.add_argument("files", type=Path, nargs="+", help="delivered files")
    parser.add_argument("--rows", type=int, default=5, help="how many mapped rows to show (5)")
    options = parser.parse_args(argv)
    name: str = options.source
    try:
        declared = declared_in(Path(name)) if name.endswith(".yaml") else source(name)
        report = dry_run(declared, options.files, session, options.rows)
    except SourceError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in lines(report))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

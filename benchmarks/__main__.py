"""Run every benchmark, each in a separate process: `python -m benchmarks`."""

import subprocess
import sys

from benchmarks.page import BENCHMARKS


def main() -> int:
    """Run the benchmarks in the order of the page; return the number of failed ones."""
    failed = 0
    for name in BENCHMARKS:
        sys.stderr.write(f"benchmark {name}\n")
        ran = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        failed += ran.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

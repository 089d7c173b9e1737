"""Run every benchmark, each in a process of its own: `python -m benchmarks`."""

import subprocess
import sys

from benchmarks.page import BENCHMARKS


def main() -> int:
    """Run the benchmarks in the order of the page; return how many did not come to their end."""
    failed = 0
    for name in BENCHMARKS:
        sys.stderr.write(f"benchmark {name}\n")
        ran = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        failed += ran.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

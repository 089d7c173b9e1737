"""Write every generated file: ``python -m bi.generate``, or ``--check`` to only compare."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bi.to_exposures import generated as exposures
from bi.to_opensearch import generated as opensearch
from bi.to_powerbi import generated as powerbi
from bi.to_superset import generated as superset
from contracts.render.to_dbt import generated
from contracts.render.to_runbook import runbook

_REPO = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the stale files, or with `--check` list them and return 1."""
    parser = argparse.ArgumentParser(prog="python -m bi.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="list stale files, write nothing")
    options = parser.parse_args(arguments)
    files = generated(_REPO) | runbook(_REPO) | superset() | powerbi() | exposures() | opensearch()
    stale = [
        path
        for path, text in files.items()
        if not (_REPO / path).is_file() or (_REPO / path).read_text() != text
    ]
    if options.check:
        for path in stale:
            print(f"{path} is stale: run `make contracts`.", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        (_REPO / path).parent.mkdir(parents=True, exist_ok=True)
        (_REPO / path).write_text(files[path])
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

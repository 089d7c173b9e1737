"""Command line of the sources: `python -m sources list`, `check`, `dry-run`.

The commands need no running platform and write nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sources.declaration import FixedDelay, LabelDelay, Source
from sources.errors import SourceError
from sources.registry import SOURCES, names, source


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, 1 for an invalid argument or file."""
    parser = argparse.ArgumentParser(prog="python -m sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the declared sources")
    check = commands.add_parser(
        "check", help="print the declaration of a mapping file, or its mistakes"
    )
    check.add_argument("mapping", type=Path)
    dry = commands.add_parser(
        "dry-run",
        help="show the first rows mapped and what would be rejected; writes nothing",
        description="Starts a local Spark process to validate the rows, which takes about 20 s.",
    )
    dry.add_argument("source", help="name of a source, or a mapping file that ends in .yaml")
    dry.add_argument("files", type=Path, nargs="+", help="delivered files")
    dry.add_argument("--rows", type=int, default=5, help="how many mapped rows to show (5)")
    options = parser.parse_args(argv)
    try:
        match options.command:
            case "list":
                for name in names():
                    _say(_line(name))
            case "check":
                for line in _about(_from_file(options.mapping)):
                    _say(line)
            case "dry-run":
                return _dry_run(options.source, options.files, options.rows)
    except SourceError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _from_file(path: Path) -> Source:
    from sources.mapping_file import read

    declared = read(path)
    if declared.name in SOURCES:
        raise SourceError(f"{declared.name} is a built-in source: choose another name.")
    return declared


def _line(name: str) -> str:
    try:
        return f"{name:<14} {source(name).description}"
    except SourceError as problem:
        return f"{name:<14} {problem}"


def _about(declared: Source) -> list[str]:
    match declared.labels:
        case FixedDelay(seconds):
            labels = f"known {seconds / 86_400:g} days after the payment"
        case LabelDelay():
            labels = "known after a delay"
        case None:
            labels = "none"
        case _:
            labels = "known when the source says"
    return [
        f"{declared.name}: {declared.description}",
        f"  delivers {declared.delivers} files ending in {' or '.join(declared.suffixes)}",
        f"  labels: {labels}",
        *(
            f"  version {one.number}: {len(one.layout)} columns; {one.description}"
            for one in declared.versions
        ),
        f"  fills {', '.join(sorted(declared.fills))}",
        f"  lacks {', '.join(sorted(declared.lacks))}",
    ]


def _dry_run(name: str, files: list[Path], rows: int) -> int:
    from sources.dry_run import dry_run, lines

    declared = _from_file(Path(name)) if name.endswith(".yaml") else source(name)
    report = dry_run(declared, files, rows)
    for line in lines(report):
        _say(line)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

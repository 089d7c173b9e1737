"""Command line of the sources: `python -m sources list`, `check`.

It needs no running platform and writes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sources.declaration import FixedDelay, LabelDelay, LabelFeed, Source, Version
from sources.errors import SourceError
from sources.registry import declared_in, names, source


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, 1 for an invalid argument or file."""
    parser = argparse.ArgumentParser(prog="python -m sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the declared sources")
    check = commands.add_parser(
        "check", help="print the declaration of a mapping file, or its mistakes"
    )
    check.add_argument("mapping", type=Path)
    options = parser.parse_args(argv)
    try:
        match options.command:
            case "list":
                for name in names():
                    _say(_line(name))
            case "check":
                for line in _about(declared_in(options.mapping)):
                    _say(line)
    except SourceError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _line(name: str) -> str:
    try:
        return f"{name:<14} {source(name).description}"
    except SourceError as problem:
        return f"{name:<14} {problem}"


def _formats(declared: Source) -> str:
    numbers = declared.numbers
    units = ", amounts in minor units" if numbers.minor_units else ""
    negative = ", negative amounts are refunds" if declared.negative_amounts == "refund" else ""
    return (
        f"days and local times of {declared.zone}; numbers as"
        f" 1{numbers.thousands_sign}234{numbers.decimal_sign}56{units}{negative}"
    )


def _features(version: Version) -> str:
    return f" Features: {', '.join(version.features)}." if version.features else ""


def _about(declared: Source) -> list[str]:
    match declared.labels:
        case FixedDelay(seconds):
            labels = f"known {seconds / 86_400:g} days after the payment"
        case LabelDelay():
            labels = "known after a delay"
        case LabelFeed(genuine_after_seconds=seconds):
            labels = f"in files of their own; genuine {seconds / 86_400:g} days after the payment"
        case None:
            labels = "none"
        case _:
            labels = "known when the source says"
    return [
        f"{declared.name}: {declared.description}",
        f"  delivers {declared.delivers} files ending in {' or '.join(declared.suffixes)}",
        *(["  a quoted field may span lines"] if declared.csv.quoted_line_breaks else []),
        f"  {_formats(declared)}",
        *(["  a folder of files may stand for a file"] if declared.part_files else []),
        *([f"  closed on {', '.join(declared.closed_days)}"] if declared.closed_days else []),
        f"  labels: {labels}",
        *(
            f"  version {one.number}: {len(one.layout)} columns; {one.description}{_features(one)}"
            for one in declared.versions
        ),
        f"  fills {', '.join(sorted(declared.fills))}",
        f"  lacks {', '.join(sorted(declared.lacks))}",
    ]


if __name__ == "__main__":
    sys.exit(main())

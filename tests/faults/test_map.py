"""The map of faults names tests that exist, and names each fault that the contract lists."""

import ast
import re
from functools import cache
from pathlib import Path

from contracts.stages import Gate

REPO = Path(__file__).resolve().parents[2]
MAP = (REPO / "docs" / "faults.md").read_text()
FAULTS = (
    *("truncated", "pointer", "missing column", "renamed column", "wrong type"),
    *("negative amount", "absurd amount", "unknown currency", "future timestamp"),
    *("repeated id", "empty window", "never landed", "malformed window", "wrong S3 key"),
    *("undeclared column", "widened type", "currency without a dimension row"),
    *("label for an unknown payment", "score for a payment that is not loaded"),
    *("payment dated before its customer",),
    *("Postgres killed during a load", "driver killed during a write", "in two runs"),
)


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((REPO / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def rows() -> list[list[str]]:
    """Return the cells of each row of the map's tables, without their heads."""
    lines = [line for line in MAP.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[-1] != "proved by"]


def test_each_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", MAP)
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
    assert all("::" in row[-1] for row in rows()), "a fault without a test"


def test_each_fault_of_the_contracts_is_in_docs_faults() -> None:
    outcomes = [row[0] for row in rows()]
    assert [fault for fault in FAULTS if not any(fault in outcome for outcome in outcomes)] == []
    assert {str(gate) for gate in Gate} <= set(outcomes)

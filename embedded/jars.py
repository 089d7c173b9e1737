"""Fetch the jars of a lock file with Ivy, verify them, and store them outside the repository.

The pyspark wheel includes Ivy. Ivy uses a mirror in ``~/.m2/settings.xml``, the file
``~/.ivy2/ivysettings.xml``, or its defaults.
"""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from embedded.places import (
    KAFKA_LOCK,
    OPENSEARCH_LOCK,
    REPO,
    cache_dir,
    find_java,
    java_environment,
    site_packages,
)

LOCK = REPO / "jars.lock"
_OPTIONAL = {"kafka": KAFKA_LOCK, "opensearch": OPENSEARCH_LOCK}
_LANES = 4


class JarError(RuntimeError):
    """Raised when a jar is missing or differs from the locked one."""


@dataclass(frozen=True)
class Jar:
    """One line of a lock file: ``group:artifact:version size sha256``."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the file name of the jar."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """Return the locked jars."""
    jars = []
    for line in lock.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, size, digest = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, int(size), digest.removeprefix("sha256:")))
    return jars


def folder() -> Path:
    """Return the jars' folder in the cache."""
    return cache_dir() / "jars"


def class_path(lock: Path = LOCK) -> str:
    """Return the class path of all locked jars; raise `JarError` when one is missing."""
    files = [folder() / jar.file_name for jar in read_lock(lock)]
    if missing := [file.name for file in files if not file.is_file()]:
        remedy = "make setup" if lock == LOCK else "make stream"
        raise JarError(f"Jars are missing ({', '.join(missing)}): run `{remedy}`.")
    return ":".join(map(str, files))


def verify(file: Path, jar: Jar) -> None:
    """Raise `JarError` and remove the file when it is not the locked jar."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != jar.sha256:
        file.unlink()
        raise JarError(
            f"{jar.file_name} has SHA-256 {digest}, its lock file says {jar.sha256}. It was "
            "removed; run the setup again, and if this repeats, ask who runs your Maven mirror."
        )


def fetch(lock: Path = LOCK, target: Path | None = None, home: Path | None = None) -> int:
    """Fetch and verify missing jars in parallel; return the number of fetched jars."""
    target = target or folder()
    target.mkdir(parents=True, exist_ok=True)
    wanted = [jar for jar in read_lock(lock) if not (target / jar.file_name).is_file()]
    if not wanted:
        return 0
    lanes: list[list[Jar]] = [[] for _ in range(min(_LANES, len(wanted)))]
    for jar in sorted(wanted, key=lambda jar: -jar.size):
        min(lanes, key=lambda lane: sum(j.size for j in lane)).append(jar)
    bar = Progress(
        TextColumn("jars"), BarColumn(), DownloadColumn(), TimeElapsedColumn(), transient=False
    )
    with tempfile.TemporaryDirectory(dir=target) as scratch, bar:
        done = threading.Event()
        total = sum(jar.size for jar in wanted)
        task = bar.add_task("jars", total=total)
        watcher = threading.Thread(target=_watch, args=(Path(scratch), bar, task, done))
        watcher.start()
        try:
            with ThreadPoolExecutor(len(lanes)) as pool:
                numbered = enumerate(lanes)
                settings = ivy_settings(Path(scratch), home or Path.home())
                list(pool.map(lambda lane: _lane(Path(scratch), target, settings, *lane), numbered))
            bar.update(task, completed=total)
        finally:
            done.set()
            watcher.join()
    return len(wanted)


def _watch(scratch: Path, bar: Progress, task: TaskID, done: threading.Event) -> None:
    while not done.wait(0.3):
        files = [file for file in scratch.glob("cache-*/**/*.jar*") if file.is_file()]
        bar.update(task, completed=sum(file.stat().st_size for file in files))


def _lane(scratch: Path, target: Path, settings: Path | None, number: int, jars: list[Jar]) -> None:
    """Fetch a share of the jars in one Ivy process, then move the verified jars to the target."""
    dependencies = "".join(
        f'<dependency org="{jar.group}" name="{jar.artifact}" rev="{jar.version}" '
        'transitive="false"/>'
        for jar in jars
    )
    module = scratch / f"ivy-{number}.xml"
    module.write_text(
        '<ivy-module version="2.0"><info organisation="tollgate" module="jars"/>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )
    java = java_environment()
    ivy = next((site_packages() / "pyspark" / "jars").glob("ivy-*.jar"))
    command = [str(Path(java["JAVA_HOME"]) / "bin" / "java"), *trust_options(scratch / str(number))]
    command += ["-jar", str(ivy)]
    if settings:
        command += ["-settings", str(settings)]
    command += ["-ivy", str(module), "-cache", str(scratch / f"cache-{number}")]
    # A jar with OSGi metadata may have the type bundle.
    command += ["-types", "jar", "bundle"]
    command += ["-retrieve", str(scratch / f"out-{number}" / "[artifact]-[revision].[ext]")]
    for attempt in (1, 2, 3):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        got = [scratch / f"out-{number}" / jar.file_name for jar in jars]
        if all(file.is_file() for file in got):
            break
        time.sleep(2 * attempt)
    else:
        reason = [line for line in run.stdout.splitlines() if "::" in line or "ERROR" in line]
        raise JarError(
            "Ivy could not fetch the jars. Check the network, or name your Maven mirror in "
            "~/.m2/settings.xml.\n" + "\n".join(reason[-12:])
        )
    for jar, file in zip(jars, got, strict=True):
        verify(file, jar)
        file.replace(target / jar.file_name)


def trust_options(scratch: Path) -> list[str]:
    """Return options with which the wheel's Java trusts the machine's certificate authorities."""
    bundle = ssl.get_default_verify_paths().cafile
    if find_java() or bundle is None:
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    authorities = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    entries = [
        pkcs12.PKCS12Certificate(authority, f"{number}".encode())
        for number, authority in enumerate(authorities)
    ]
    password = "public"  # noqa: S105  the store holds public certificates only
    store = scratch.with_suffix(".p12")
    encryption = BestAvailableEncryption(password.encode())
    store.write_bytes(pkcs12.serialize_java_truststore(entries, encryption))
    prefix = "-Djavax.net.ssl.trustStore"
    return [f"{prefix}={store}", f"{prefix}Password={password}", f"{prefix}Type=PKCS12"]


def ivy_settings(scratch: Path, home: Path) -> Path | None:
    """Return the settings file for Ivy, or None for its defaults."""
    own = home / ".ivy2" / "ivysettings.xml"
    if own.is_file():
        return own
    maven = home / ".m2" / "settings.xml"
    mirror = _mirror(maven) if maven.is_file() else None
    if mirror is None:
        return None
    target = scratch / "ivysettings.xml"
    target.write_text(
        '<ivysettings><settings defaultResolver="mirror"/><resolvers>'
        f'<ibiblio name="mirror" m2compatible="true" root={quoteattr(mirror)}/>'
        "</resolvers></ivysettings>"
    )
    return target


def _mirror(settings: Path) -> str | None:
    """Return the URL of the first mirror of the central repository."""
    for mirror in ET.parse(settings).getroot().findall(".//{*}mirror"):  # noqa: S314
        covered = (mirror.findtext("{*}mirrorOf") or "").replace(" ", "").split(",")
        if {"central", "*", "external:*"} & set(covered) and "!central" not in covered:
            return mirror.findtext("{*}url")
    return None


if __name__ == "__main__":
    try:
        fetch(_OPTIONAL[sys.argv[1]] if sys.argv[1:] else LOCK)
    except JarError as trouble:
        raise SystemExit(str(trouble)) from trouble

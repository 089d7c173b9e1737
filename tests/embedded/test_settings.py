import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from contracts.settings import REPO, Settings, SettingsError, load_settings
from embedded import secrets


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Point the settings to an empty state folder."""
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TOLLGATE_PORT_BASE", "15400")
    return monkeypatch


def _declared() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names |= {f"TOLLGATE_{name}__{key}".upper() for key in section.model_fields}
        else:
            names.add(f"TOLLGATE_{name}".upper())
    return names


def test_the_example_names_every_setting_and_no_other() -> None:
    text = (REPO / ".env.example").read_text()
    assert set(re.findall(r"^# (TOLLGATE_\w+)=", text, re.MULTILINE)) == _declared()


def test_the_example_shows_the_defaults(clean: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    text = (REPO / ".env.example").read_text()
    shown = dict(re.findall(r"^# TOLLGATE_(\w+)=(.+)$", text, re.MULTILINE))
    for name, value in shown.items():
        section, _, key = name.lower().partition("__")
        if section in {"state_dir", "data_dir", "mappings_dir"}:
            default = Settings.model_fields[section].default.relative_to(REPO)
        else:
            default = getattr(settings, section)
            default = getattr(default, key) if key else default
        assert str(default) == value, name


def test_an_unknown_setting_is_refused(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("TOLLGATE_PORTBASE", "1")
    with pytest.raises(SettingsError, match="TOLLGATE_PORTBASE"):
        load_settings()


def test_an_unknown_setting_of_a_part_is_refused(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("TOLLGATE_S3__BUCKET", "x")
    with pytest.raises(ValidationError, match="Extra inputs"):
        load_settings()


def test_settings_cannot_be_changed(clean: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port_base = 1


def test_the_environment_overrides_the_embedded_value(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("TOLLGATE_WAREHOUSE__HOST", "db.example")
    clean.setenv("TOLLGATE_PORT_BASE", "20000")
    settings = load_settings()
    assert (settings.warehouse.host, settings.warehouse.port) == ("db.example", 20000)


def test_a_missing_secret_is_an_error_with_the_remedy(clean: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"warehouse role loader: run `make up`"):
        load_settings().warehouse.dsn("loader")


def test_a_user_of_opensearch_needs_a_password(clean: pytest.MonkeyPatch) -> None:
    assert load_settings().opensearch.login is None
    clean.setenv("TOLLGATE_OPENSEARCH__USERNAME", "indexer")
    with pytest.raises(SettingsError, match=r"indexer of OpenSearch .*: set TOLLGATE_OPENSEARCH__"):
        _ = load_settings().opensearch.login
    clean.setenv("TOLLGATE_OPENSEARCH__PASSWORD", "secret")
    assert load_settings().opensearch.login == ("indexer", "secret")


@pytest.mark.parametrize("url", ["http://here", "redis://:secret@here", "here:6379", "redis://"])
def test_an_address_that_is_none_of_redis_is_refused(clean: pytest.MonkeyPatch, url: str) -> None:
    clean.setenv("TOLLGATE_API__STORE_URL", url)
    with pytest.raises(ValidationError, match="Redis or Valkey: write redis://host:port") as error:
        load_settings()
    assert "secret" not in str(error.value)


def test_no_secret_shows_in_a_printed_object(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets.ensure(tmp_path / "secrets")
    settings = load_settings()
    shown = f"{settings!r} {settings}"
    for file in (tmp_path / "secrets").iterdir():
        assert file.read_text().strip() not in shown, file.name
    assert settings.warehouse.password("loader").get_secret_value() in settings.warehouse.dsn(
        "loader"
    )
    assert settings.spark.remote is not None


def test_secrets_are_private_made_once_and_all_different(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    secrets.ensure(folder)
    before = {file.name: file.read_text() for file in folder.iterdir()}
    secrets.ensure(folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == before
    assert len(set(before.values())) == len(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert len(bytes.fromhex(before["pseudonym.key"])) == 32


def test_a_source_may_deliver_elsewhere(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean.setenv("TOLLGATE_DELIVERIES__HANDBOOK", str(tmp_path))
    world = tmp_path / "simulator" / "payments"
    assert load_settings().deliveries == {"handbook": tmp_path, "simulator": world}
    clean.setenv("TOLLGATE_DELIVERIES", '{"handbook": "elsewhere"}')
    clean.delenv("TOLLGATE_DELIVERIES__HANDBOOK")
    assert load_settings().deliveries == {"handbook": REPO / "elsewhere", "simulator": world}

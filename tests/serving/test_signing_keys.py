"""The keys that sign access tokens, and their rotation."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from embedded.secrets import rotate_signing_key
from serving.access.access_tokens import AccessTokens, TokenError
from serving.access.signing_keys import TOKEN_LIFETIME, SigningKeyError, SigningKeys, rotated
from serving.access.users import Caller

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CALLER = Caller("payments", "service")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "api_signing_keys.json"
    rotate_signing_key(path)
    return path


def test_a_new_key_signs_and_the_one_before_verifies(file: Path) -> None:
    tokens, other_worker = (AccessTokens(SigningKeys(file)) for _ in range(2))
    before = tokens.issue(CALLER)
    rotate_signing_key(file)
    after = tokens.issue(CALLER)
    assert [other_worker.caller(one) for one in (before, after)] == [CALLER, CALLER]
    first, second = json.loads(file.read_text())["keys"]
    assert "exp" not in first
    assert second["exp"] <= (datetime.now(UTC) + TOKEN_LIFETIME).timestamp() + 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_verifies_until_the_last_token_that_it_signed_has_expired(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(rotated(None, NOW))
    old = SigningKeys(file).first().kid
    file.write_text(rotated(file.read_text(), NOW))
    keys = SigningKeys(file)
    assert keys.first().kid != old
    assert keys.find(old, NOW + TOKEN_LIFETIME)
    assert keys.find(old, NOW + TOKEN_LIFETIME + timedelta(seconds=2)) is None


def test_expired_keys_leave_the_set_and_repeated_rotation_prolongs_none(tmp_path: Path) -> None:
    written = rotated(None, NOW)
    for minutes in (0, 5, 10, 21):
        written = rotated(written, NOW + timedelta(minutes=minutes))
    ends = [key.get("exp") for key in json.loads(written)["keys"]]
    last = [int((NOW + timedelta(minutes=minutes)).timestamp()) + 1 for minutes in (36, 25)]
    assert ends == [None, *last]


def test_a_token_of_a_key_that_left_the_set_is_refused(file: Path) -> None:
    token = AccessTokens(SigningKeys(file)).issue(CALLER)
    file.unlink()
    rotate_signing_key(file)
    with pytest.raises(TokenError, match="is not in use: sign in again"):
        AccessTokens(SigningKeys(file)).caller(token)


@pytest.mark.parametrize(
    "written", ["", "x", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "alg": "HS256"}]}']
)
def test_a_damaged_key_file_is_refused_and_loaded_keys_stay(
    file: Path, caplog: pytest.LogCaptureFixture, written: str
) -> None:
    tokens = AccessTokens(SigningKeys(file))
    token = tokens.issue(CALLER)
    file.write_text(written)
    os.utime(file, ns=(1, 1))
    with pytest.raises(SigningKeyError, match="no JSON Web Key Set"):
        SigningKeys(file)
    assert tokens.caller(tokens.issue(CALLER)) == tokens.caller(token) == CALLER
    assert "the signing keys stay as they are" in caplog.text


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match=r"cannot be read.*none\.json"):
        SigningKeys(tmp_path / "none.json")


@pytest.mark.parametrize(
    "header",
    [
        b"\xff",
        b"[]",
        b'{"alg": NaN}',
        b'{"alg": "HS256", "kid": {"a": 1}}',
        rb'{"alg": "HS256", "kid": "\ud800"}',
        b'{"kid": ' + b"9" * 5_000 + b"}",
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_a_hostile_header_of_a_token_is_refused(file: Path, header: bytes) -> None:
    token = base64.urlsafe_b64encode(header).decode().rstrip("=")
    with pytest.raises(TokenError, match="sign in again"):
        AccessTokens(SigningKeys(file)).caller(f"{token}.e30.e30")


@pytest.mark.parametrize("token", ["", ".", "é.é.é", "x" * 100_000, "." * 1_000])
def test_text_that_is_no_token_is_refused(file: Path, token: str) -> None:
    with pytest.raises(TokenError, match="sign in again"):
        AccessTokens(SigningKeys(file)).caller(token)

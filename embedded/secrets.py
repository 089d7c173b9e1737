"""Generated secrets of the platform, one file for each, readable by their owner only."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from contracts.topics import KAFKA_USERS
from serving.access.signing_keys import rotated


def _password() -> str:
    return secrets.token_urlsafe(24)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    **dict.fromkeys(
        (
            "postgres_superuser",
            "airflow_db",
            "mlflow_db",
            "warehouse_loader",
            "warehouse_transformer",
            "warehouse_reader",
            "warehouse_developer",
            "warehouse_api",
            "api_admin",
            "online_store",
            "lake_writer",
            "lake_reader",
            "s3_root",
            "s3_lander",
            "s3_processor",
            "s3_reader",
            "s3_platform",
            "spark_token",
            "spark_cluster",
            "mlflow_admin",
            "mlflow_reader",
            "mlflow_session_key",
            "airflow_admin",
            "airflow_jwt",
            "airflow_session_key",
            "superset_db",
            "superset_admin",
            "superset_key",
            "kafka_admin",
            *(f"kafka_{user}" for user in KAFKA_USERS),
        ),
        _password,
    ),
    "airflow_fernet": _fernet_key,
    "api_signing_keys.json": lambda: rotated(None, datetime.now(UTC)),
    "pseudonym.key": lambda: secrets.token_hex(32),
}


def ensure(folder: Path) -> None:
    """Create missing secrets; never change existing ones."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name, make in _MAKERS.items():
        target = folder / name
        if not target.exists():
            write_private(target, make() + "\n")


def read(folder: Path, name: str) -> str:
    """Return one secret."""
    return (folder / name).read_text().strip()


def rotate_signing_key(file: Path) -> None:
    """Put a new key first in the key set of the decision API.

    Raises:
        SigningKeyError: when the file has no key set.
    """
    write_private(file, rotated(file.read_text() if file.exists() else None, datetime.now(UTC)))


def write_private(target: Path, text: str) -> None:
    """Write a file atomically, with permissions for its owner only from the start."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    part.replace(target)

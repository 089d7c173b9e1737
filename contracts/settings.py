"""The settings object of the platform, which entry points read once.

Order of precedence: ``TOLLGATE_*`` environment variables (nested with ``__``, for example
``TOLLGATE_WAREHOUSE__HOST``), then ``<repo>/.env``, then the defaults of the embedded platform:
ports counted from ``port_base`` and the passwords in ``<state_dir>/secrets``.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from contracts.topics import KAFKA_USERS, KafkaUser

REPO = Path(__file__).resolve().parent.parent
PORT_OFFSETS: Mapping[str, int] = {
    "postgres": 0,
    "s3": 1,
    "spark": 2,
    "mlflow": 3,
    "airflow-api": 4,
    "spark-cluster": 5,
    "spark-master": 6,
    "spark-master-page": 7,
    "superset": 8,
    "kafka": 9,
    "kafka-controller": 10,
    "validator": 11,
    "opensearch": 12,
    "opensearch-transport": 13,
    "indexer": 14,
    "api": 15,
    "scorer": 16,
    "valkey": 17,
    "updater": 18,
}
"""Port of each service, counted from ``port_base``."""

WarehouseRole = Literal["loader", "transformer", "reader", "developer", "api"]
CatalogRole = Literal["writer", "reader"]
S3Role = Literal["lander", "processor", "reader", "platform"]
HOST = "127.0.0.1"


class SettingsError(RuntimeError):
    """Raised when a required setting has no value."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _need(value: SecretStr | None, user: str) -> SecretStr:
    if value is None:
        raise SettingsError(f"No secret is set for {user}: run `make up` once to create it.")
    return value


class _Database(_Section):
    host: str = HOST
    port: int
    database: str
    passwords: dict[str, SecretStr] = Field(default_factory=dict)

    def _uri(self, driver: str, user: str, password: str) -> str:
        login = f"{user}:{quote(password, safe='')}"
        return f"{driver}://{login}@{self.host}:{self.port}/{self.database}"


def _developer_schema() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        user = "developer"
    return "dev_" + re.sub(r"[^a-z0-9]", "_", user.lower())


class Warehouse(_Database):
    """The warehouse: the loader owns STAGING and SERVING, the transformer owns PRODUCTION.

    Developers build models in `developer_schema`. With `kind` snowflake, marts are in Snowflake and
    this Postgres has the records of runs.
    """

    kind: Literal["postgres", "snowflake"] = "postgres"
    developer_schema: str = Field(default_factory=_developer_schema, pattern="^dev_[a-z0-9_]+$")

    def user(self, role: WarehouseRole) -> str:
        """Return the database user of a role."""
        return f"warehouse_{role}"

    def password(self, role: WarehouseRole) -> SecretStr:
        """Return the password of a role."""
        return _need(self.passwords.get(role), f"warehouse role {role}")

    def dsn(self, role: WarehouseRole) -> str:
        """Return a libpq URI, which includes the password: never log it."""
        return self._uri("postgresql", self.user(role), self.password(role).get_secret_value())


class Snowflake(_Section):
    """A warehouse on Snowflake: one user with roles to load, to transform and to develop.

    The private key is base64 of its unencrypted DER. `host`, `port` and `protocol` address a server
    that emulates Snowflake.
    """

    account: str = ""
    user: str = ""
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    loader_role: str = "TOLLGATE_LOADER"
    transformer_role: str = "TOLLGATE_TRANSFORMER"
    developer_role: str = "TOLLGATE_DEVELOPER"
    warehouse: str = "TOLLGATE"
    database: str = "TOLLGATE"
    host: str | None = None
    port: int | None = None
    protocol: str = "https"

    def login(self, role: Literal["loader", "transformer", "developer"]) -> dict[str, str | int]:
        """Return the login parameters of a role, which include a secret: never log them.

        Raises:
            SettingsError: when account, user or secret is missing.
        """
        if not self.account or not self.user or not (self.password or self.private_key):
            raise SettingsError(
                "Snowflake needs TOLLGATE_SNOWFLAKE__ACCOUNT, __USER and either __PASSWORD or"
                " __PRIVATE_KEY: see docs/snowflake.md."
            )
        given: dict[str, str | int | None] = {
            "account": self.account,
            "user": self.user,
            "role": getattr(self, f"{role}_role"),
            "warehouse": self.warehouse,
            "database": self.database,
            "schema": "STAGING",
            "protocol": self.protocol,
            "host": self.host,
            "port": self.port,
        }
        # A key takes precedence over a password.
        secret = "private_key" if self.private_key else "password"
        value = self.private_key or self.password
        given[secret] = value.get_secret_value() if value else None
        return {name: value for name, value in given.items() if value is not None}


class Catalog(_Database):
    """The Iceberg JDBC catalog."""

    @property
    def jdbc_url(self) -> str:
        """Return the JDBC URL without user and password."""
        return f"jdbc:postgresql://{self.host}:{self.port}/{self.database}"

    def user(self, role: CatalogRole) -> str:
        """Return the database user of a role."""
        return f"lake_{role}"

    def password(self, role: CatalogRole) -> SecretStr:
        """Return the password of a role."""
        return _need(self.passwords.get(role), f"catalog role {role}")

    def dsn(self, role: CatalogRole) -> str:
        """Return a libpq URI, which includes the password: never log it."""
        return self._uri("postgresql", self.user(role), self.password(role).get_secret_value())

    def sqlalchemy_uri(self, role: CatalogRole) -> str:
        """Return the URI for pyiceberg's SqlCatalog."""
        password = self.password(role).get_secret_value()
        return self._uri("postgresql+psycopg", self.user(role), password)


class S3(_Section):
    """The object store: one key for each role, one bucket for each purpose."""

    endpoint: str
    region: str = "us-east-1"
    raw_bucket: str = "tollgate-raw"
    lake_bucket: str = "tollgate-lake"
    artifacts_bucket: str = "tollgate-models"
    docs_bucket: str = "tollgate-docs"
    logs_bucket: str = "tollgate-logs"
    secret_keys: dict[str, SecretStr] = Field(default_factory=dict)

    def keys(self, role: S3Role) -> tuple[str, SecretStr]:
        """Return (access key, secret key) of a role."""
        return role, _need(self.secret_keys.get(role), f"S3 role {role}")


class Spark(_Section):
    """Spark: a Connect server, or a session in this process when ``remote`` is None."""

    remote: SecretStr | None = None


class MLflow(_Section):
    """The tracking server."""

    tracking_uri: str
    username: str = "admin"
    reader_username: str = "reader"
    admin_password: SecretStr | None = None
    reading_password: SecretStr | None = None

    @property
    def password(self) -> SecretStr:
        """Return the password of the user that logs runs and registers models."""
        return _need(self.admin_password, "MLflow's admin")

    @property
    def reader_password(self) -> SecretStr:
        """Return the password of the read-only user."""
        return _need(self.reading_password, "MLflow's reader")


class Airflow(_Section):
    """The Airflow web server and its only user."""

    url: str
    username: str = "admin"
    admin_password: SecretStr | None = None

    @property
    def password(self) -> SecretStr:
        """Return the admin's password."""
        return _need(self.admin_password, "Airflow's admin")


class Superset(_Section):
    """The Superset web server and its only user."""

    url: str
    username: str = "admin"
    admin_password: SecretStr | None = None

    @property
    def password(self) -> SecretStr:
        """Return the admin's password."""
        return _need(self.admin_password, "Superset's admin")


class Api(_Section):
    """The decision API: its first user, its limits, and its online store.

    The limits are what a caller may send in a minute to one process: decisions are counted by user,
    sign-ins by address. Without `store_url`, the online store is in the warehouse.
    """

    url: str
    username: str = "admin"
    admin_password: SecretStr | None = None
    decisions_per_minute: int = Field(default=300_000, ge=1)
    sign_ins_per_minute: int = Field(default=60, ge=1)
    challenger_percent: int = Field(default=0, ge=0, le=100)
    store_url: str | None = None
    store_password: SecretStr | None = None

    @field_validator("store_url")
    @classmethod
    def _of_redis(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"rediss?://([^:@/]+@)?[^@/]+(/\d+)?", value):
            raise ValueError(
                "is no address of Redis or Valkey: write redis://host:port, or rediss:// for TLS,"
                " and the password as TOLLGATE_API__STORE_PASSWORD."
            )
        return value

    @property
    def password(self) -> SecretStr:
        """Return the admin's password."""
        return _need(self.admin_password, "the admin of the decision API")


class Kafka(_Section):
    """The Kafka broker: a user for each part of the stream, which signs in by SCRAM-SHA-512."""

    bootstrap_servers: str
    passwords: dict[str, SecretStr] = Field(default_factory=dict)

    def password(self, user: KafkaUser) -> SecretStr:
        """Return the password of a user."""
        return _need(self.passwords.get(user), f"Kafka user {user}")

    def login(self, user: KafkaUser) -> dict[str, str]:
        """Return the login of a user for a client, which includes its password: never log it."""
        return kafka_login(self.bootstrap_servers, user, self.password(user).get_secret_value())


class OpenSearch(_Section):
    """The search engine of rejects; the embedded one has no user, a shared one has."""

    url: str
    username: str | None = None
    password: SecretStr | None = None

    @property
    def login(self) -> tuple[str, str] | None:
        """Return user and password, None without a user: never log it.

        Raises:
            SettingsError: when the user has no password.
        """
        if self.username is None:
            return None
        if self.password is None:
            raise SettingsError(
                f"User {self.username} of OpenSearch has no password: set"
                " TOLLGATE_OPENSEARCH__PASSWORD."
            )
        return self.username, self.password.get_secret_value()


def kafka_login(servers: str, user: str, password: str) -> dict[str, str]:
    """Return the client configuration of a Kafka user, which includes its password."""
    return {
        "bootstrap.servers": servers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "client.id": user,
    }


class _EmbeddedDefaults(PydanticBaseSettingsSource):
    """Defaults of the embedded platform, with the lowest precedence."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Implement the abstract method; `__call__` returns all fields together."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Derive ports from `port_base` and read the existing secrets."""
        state = Path(self.current_state.get("state_dir", REPO / "var")).expanduser()
        base = int(self.current_state.get("port_base", 15400))
        folder = (state if state.is_absolute() else REPO / state) / "secrets"

        def secret(name: str) -> str | None:
            file = folder / name
            return file.read_text().strip() if file.is_file() else None

        def passwords(prefix: str, roles: tuple[str, ...]) -> dict[str, str]:
            pairs = ((role, secret(f"{prefix}_{role}")) for role in roles)
            return {role: value for role, value in pairs if value}

        port = {name: base + offset for name, offset in PORT_OFFSETS.items()}
        token = secret("spark_token")
        # The client sends a token without TLS only to a server with this name.
        remote = f"sc://localhost:{port['spark']}/;token={token}" if token else None
        return {
            # A world that the demo makes is state, and no data of the project.
            "deliveries": {"simulator": folder.parent / "simulator" / "payments"},
            "warehouse": {
                "port": port["postgres"],
                "database": "warehouse",
                "passwords": passwords("warehouse", get_args(WarehouseRole)),
            },
            "catalog": {
                "port": port["postgres"],
                "database": "lake",
                "passwords": passwords("lake", ("writer", "reader")),
            },
            "s3": {
                "endpoint": f"http://{HOST}:{port['s3']}",
                "secret_keys": passwords("s3", ("lander", "processor", "reader", "platform")),
            },
            "spark": {"remote": remote},
            "mlflow": {
                "tracking_uri": f"http://{HOST}:{port['mlflow']}/mlflow",
                "admin_password": secret("mlflow_admin"),
                "reading_password": secret("mlflow_reader"),
            },
            "airflow": {
                "url": f"http://{HOST}:{port['airflow-api']}",
                "admin_password": secret("airflow_admin"),
            },
            "superset": {
                "url": f"http://{HOST}:{port['superset']}",
                "admin_password": secret("superset_admin"),
            },
            "api": {
                "url": f"http://{HOST}:{port['api']}",
                "admin_password": secret("api_admin"),
                "store_password": secret("online_store"),
            },
            "kafka": {
                "bootstrap_servers": f"{HOST}:{port['kafka']}",
                "passwords": passwords("kafka", KAFKA_USERS),
            },
            "opensearch": {"url": f"http://{HOST}:{port['opensearch']}"},
        }


class Settings(BaseSettings):
    """All settings of the platform. Frozen; unknown keys are refused."""

    model_config = SettingsConfigDict(
        env_prefix="TOLLGATE_",
        env_nested_delimiter="__",
        env_file=REPO / ".env",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may be a password
    )

    state_dir: Path = REPO / "var"
    port_base: int = Field(default=15400, ge=1024, le=65500)
    data_dir: Path = REPO / "data"
    deliveries: dict[str, Path] = Field(default_factory=dict)
    mappings_dir: Path = REPO / "sources" / "mappings"
    slack_webhook_url: SecretStr | None = None
    warehouse: Warehouse
    snowflake: Snowflake = Snowflake()
    catalog: Catalog
    s3: S3
    spark: Spark
    mlflow: MLflow
    airflow: Airflow
    superset: Superset
    api: Api
    kafka: Kafka
    opensearch: OpenSearch

    @field_validator("state_dir", "data_dir", "mappings_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        value = value.expanduser()
        return value if value.is_absolute() else REPO / value

    @field_validator("deliveries")
    @classmethod
    def _absolute_folders(cls, value: dict[str, Path]) -> dict[str, Path]:
        return {source: cls._absolute(folder) for source, folder in value.items()}

    @property
    def secrets_dir(self) -> Path:
        """Return the folder of generated secrets (mode 0700, one file a secret)."""
        return self.state_dir / "secrets"

    @property
    def pseudonym_key_file(self) -> Path:
        """Return the file of the pseudonymisation key: 32 random bytes as hex text."""
        return self.secrets_dir / "pseudonym.key"

    @property
    def signing_keys_file(self) -> Path:
        """Return the file of the keys that sign the tokens of the decision API, a JWK set."""
        return self.secrets_dir / "api_signing_keys.json"

    def port(self, service: str) -> int:
        """Return the port of an embedded service."""
        return self.port_base + PORT_OFFSETS[service]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the embedded defaults the lowest precedence."""
        return init_settings, env_settings, dotenv_settings, _EmbeddedDefaults(settings_cls)


def load_settings() -> Settings:
    """Read the settings, and refuse unknown ``TOLLGATE_*`` variables."""
    declared = {f"TOLLGATE_{name.upper()}" for name in Settings.model_fields}
    variables = {key.split("__")[0].upper() for key in os.environ if key.startswith("TOLLGATE_")}
    if unknown := sorted(variables - declared):
        raise SettingsError(f"Unknown settings {unknown}: .env.example lists all settings.")
    return Settings()  # type: ignore[call-arg]  # the sources fill the sections


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()

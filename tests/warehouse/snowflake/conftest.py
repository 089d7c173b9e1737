"""A second warehouse for the same lake: a server that stands in for Snowflake, in this process."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from contracts.settings import Settings, Snowflake
from tests.warehouse.snowflake import stand_in
from warehouse.snowflake.migrate import migrate


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[Snowflake]:
    """Start the server and say how to log in."""
    with stand_in.listening() as login:
        yield Snowflake(
            **{name: login[name] for name in ("account", "user", "host", "port", "protocol")},
            password=SecretStr(login["password"]),
        )


@pytest.fixture(scope="session")
def on_snowflake(
    snowflake_server: Snowflake, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Settings], Settings]:
    """Give a platform, whose records are in Postgres, an empty database on Snowflake."""

    def make(settings: Settings) -> Settings:
        database = f"TOLLGATE_{secrets.token_hex(4)}".upper()
        own = settings.model_copy(
            update={
                "state_dir": tmp_path_factory.mktemp("state"),
                "warehouse": settings.warehouse.model_copy(update={"kind": "snowflake"}),
                "snowflake": snowflake_server.model_copy(update={"database": database}),
            }
        )
        migrate(own)
        return own

    return make

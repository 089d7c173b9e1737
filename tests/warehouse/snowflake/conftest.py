"""A second warehouse for the same lake: a server that stands in for Snowflake, in this process."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from fakesnow import arrow, server, transforms  # the function: before its module takes the name
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.server import shared_fs
from fakesnow.transforms import stage as bucket
from pydantic import SecretStr
from snowflake.connector import errors

from contracts.settings import Settings, Snowflake
from warehouse.snowflake.migrate import migrate


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[Snowflake]:
    """Start the server and say how to log in."""
    # It cannot read comments that hold an apostrophe, nor any on columns.
    shared_fs.nop_regexes = [r"\s*comment on ", r"(?s)\s*alter\s+table .*\scomment \$\$"]
    execute = FakeSnowflakeCursor.execute

    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return execute(*args, **kwargs)
        except errors.Error:
            raise
        except Exception as error:
            # It would answer 500, which clients take for a reason to ask again for ever.
            raise errors.ProgrammingError(msg=str(error), errno=1, sqlstate="XX000") from error

    def with_nulls(times: Any) -> pa.StructArray:
        # It sends 1970 for a time that is null.
        whole = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
        sent = timestamps(whole)
        return pa.StructArray.from_arrays(sent.flatten(), fields=[*sent.type], mask=whole.is_null())

    timestamps = arrow.timestamp_to_sf_struct
    with (
        patch.object(FakeSnowflakeCursor, "execute", told),
        patch.object(arrow, "timestamp_to_sf_struct", with_nulls),
        # It sums decimals as doubles, in case they were text.
        patch.object(transforms, "numeric_agg_implicit_cast", lambda expression: expression),
        server() as login,
    ):
        yield Snowflake(
            **{name: login[name] for name in ("account", "user", "host", "port", "protocol")},
            password=SecretStr(login["password"]),
        )
    shutil.rmtree(bucket.LOCAL_BUCKET_PATH, ignore_errors=True)


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

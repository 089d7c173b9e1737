import time

import pytest
from pydantic import SecretStr

from contracts.settings import HOST, Kafka
from streaming import connection


def test_a_broker_that_does_not_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CHECK_SECONDS", 0.5)
    kafka = Kafka(bootstrap_servers=f"{HOST}:1", passwords={"sink": SecretStr("secret")})
    began = time.monotonic()
    with pytest.raises(connection.StreamError, match=r"No Kafka answers at .*: run `make stream`"):
        connection.check(kafka, "sink")
    assert time.monotonic() - began < 5

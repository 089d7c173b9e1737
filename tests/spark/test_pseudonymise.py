"""Direct identifiers become tokens under a key that shows nowhere."""

import contextlib
import hashlib
import hmac
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts.settings import Settings
from tests.spark.logs import logs_under
from tests.spark.sparkov_rows import validated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def _in_session(spark: "SparkSession") -> None:
    """Expressions need a session to be made in."""


def key_frame(spark: "SparkSession", text: str) -> "DataFrame":
    return spark.createDataFrame([(bytearray(text.encode()),)], "content binary")


@pytest.mark.parametrize("message", ["a", "customer|sparkov|789500570121", "é€" * 60])
def test_hmac_equals_pythons(spark: "SparkSession", message: str) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.pseudonymise import hmac_sha256, pads

    keys = pads(key_frame(spark, KEY.hex() + "\n"))
    token = hmac_sha256(F.lit(message), F.col("inner_pad"), F.col("outer_pad"))

    expected = hmac.new(KEY, message.encode(), hashlib.sha256).hexdigest()
    assert keys.select(token).first()[0] == expected


@pytest.mark.parametrize("text", ["", "\n", KEY.hex()[:-1], KEY.hex()[:-1] + "x"])
def test_a_damaged_key_makes_no_tokens(spark: "SparkSession", text: str) -> None:
    from spark.transforms.pseudonymise import pads

    with pytest.raises(Exception, match="does not hold 64 hexadecimal digits") as error:
        pads(key_frame(spark, text)).collect()
    assert not text.strip() or text.strip() not in str(error.value)


def test_identifiers_become_tokens_and_the_key_is_in_no_plan(
    spark: "SparkSession", spark_settings: Settings, row: dict[str, Any], tmp_path: Path
) -> None:
    from spark.transforms.pseudonymise import pads, pseudonymise

    file = tmp_path / "pseudonym.key"
    file.write_text(KEY.hex() + "\n")
    key = spark.read.format("binaryFile").load(file.as_uri())
    frame = pseudonymise(validated(spark, [row, {**row, "amt": 1.0}, row]), pads(key))

    one, other, again = frame.orderBy("raw_position").collect()
    for column, kind, value in (
        ("customer_id", "customer", row["acct_num"]),
        ("instrument_id", "instrument", row["cc_num"]),
    ):
        message = f"{kind}|sparkov|{value}".encode()
        assert one[column] == hmac.new(KEY, message, hashlib.sha256).hexdigest()[:32]
    assert (one["device_id"], one["ip_hash"]) == (None, None)
    assert one["content_hash"] == again["content_hash"] != other["content_hash"]

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        frame.explain(extended=True)
    logs = b"".join(p.read_bytes() for p in logs_under(spark_settings.state_dir))
    inner = bytes(byte ^ 0x36 for byte in KEY)
    for secret in (KEY.hex(), KEY.hex().upper(), inner.hex(), inner.hex().upper()):
        assert secret not in said.getvalue()
        assert secret.encode() not in logs
    assert "binaryFile" in said.getvalue()


def test_a_customer_who_is_paid_has_the_token_under_which_it_pays(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.pseudonymise import pads, pseudonymise

    rows = validated(spark, [row, {**row, "trans_num": "e2", "merchant": row["acct_num"]}])
    is_second = F.col("event_id") == "e2"
    kind = F.when(is_second, "customer").otherwise("merchant")
    keyed = pseudonymise(
        rows.withColumn("counterparty_type", kind), pads(key_frame(spark, KEY.hex()))
    )

    shop, person = keyed.orderBy("raw_position").collect()
    assert shop["counterparty_id"] == "Schaefer, McGlynn and Bosco"
    assert person["counterparty_id"] == person["customer_id"] == shop["customer_id"]


def test_amounts_in_cents_have_the_content_hash_of_earlier_versions(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    from spark.transforms.pseudonymise import pads, pseudonymise

    payments = spark.createDataFrame(
        [("12.50", None), ("12.50", "3.4"), ("1.234", None), ("1.23", "0.001")],
        "amount string, payer_balance_before string",
    ).selectExpr(
        "'shop' source_system",
        "'c1' customer_id",
        *(f"string(NULL) {name}" for name in ("instrument_id", "device_id", "ip_hash")),
        "'m1' counterparty_id",
        "'merchant' counterparty_type",
        "amount",
        "payer_balance_before",
    )

    def hashes(money: str) -> list[str]:
        typed = payments.withColumns(
            {name: F.col(name).cast(money) for name in ("amount", "payer_balance_before")}
        )
        rows = pseudonymise(typed, pads(key_frame(spark, KEY.hex()))).collect()
        return [row["content_hash"] for row in rows]

    earlier, now = hashes("decimal(18,2)"), hashes("decimal(20,4)")
    assert now[:2] == earlier[:2]
    assert not {*now[2:]} & {*earlier}


def test_without_source_features_the_content_hash_is_that_of_earlier_versions(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from spark.transforms.pseudonymise import pads, pseudonymise

    now, key = validated(spark, [row]), pads(key_frame(spark, KEY.hex()))
    frames = (
        now,
        now.drop("source_features"),
        *(now.selectExpr("* EXCEPT (source_features)", f"map('v1', {value}D) source_features")
          for value in (1.5, 2.5)),
    )  # fmt: skip
    without, earlier, one, other = (pseudonymise(f, key).first()["content_hash"] for f in frames)

    assert without == earlier
    assert len({without, one, other}) == 3

"""Pseudonymisation: keyed tokens for direct identifiers, without the key in a query plan.

A token is the first 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104) over
`<kind>|<source_system>|<value>`. The key is a frame of one row that Spark reads from the key file;
a literal would appear in plans and logs.
"""

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.columns import LogicalType
from contracts.values import MONEY_WHOLE_DIGITS, TOKEN_DIGITS
from sources.rules import LABEL_COLUMNS

_DIGITS = "0123456789abcdef"
_BLOCK_BYTES = 64
_CENTS = f"decimal({MONEY_WHOLE_DIGITS + 2},2)"
_INNER, _OUTER = 0x36, 0x5C
TOKEN_KINDS = {
    "customer_id": "customer",
    "instrument_id": "instrument",
    "device_id": "device",
    "ip_hash": "address",
}


def _xored(nibble: Column, by: int) -> Column:
    return F.translate(nibble, _DIGITS, "".join(_DIGITS[digit ^ by] for digit in range(16)))


def _pad(key_hex: Column, byte: int) -> Column:
    digits = F.split(F.rpad(key_hex, 2 * _BLOCK_BYTES, "0"), "")
    padded = F.transform(
        digits,
        lambda nibble, at: F.when(at % 2 == 0, _xored(nibble, byte >> 4)).otherwise(
            _xored(nibble, byte & 15)
        ),
    )
    return F.unhex(F.array_join(padded, ""))


def pads(key_file: DataFrame) -> DataFrame:
    """Return HMAC's inner and outer padded keys from the content of a key file.

    `key_file` has one row with a binary `content` of 64 hexadecimal digits, as Spark's binaryFile
    reads it.

    >>> key_file = spark.createDataFrame([(bytearray(b"0a" * 32),)], "content binary")
    >>> [len(pad) for pad in pads(key_file).first()]
    [64, 64]
    """
    written = F.lower(F.trim(F.regexp_replace(F.col("content").cast("string"), r"\s", "")))
    # Tokens with a short or empty key could not be recognised later.
    key_hex = F.when(written.rlike("^[0-9a-f]{64}$"), written).otherwise(
        F.raise_error(F.lit("the pseudonymisation key file does not hold 64 hexadecimal digits"))
    )
    return key_file.select(
        _pad(key_hex, _INNER).alias("inner_pad"), _pad(key_hex, _OUTER).alias("outer_pad")
    )


def hmac_sha256(message: Column, inner_pad: Column, outer_pad: Column) -> Column:
    """Return HMAC-SHA-256 of a text in hexadecimal digits.

    >>> import hmac
    >>> key_file = spark.createDataFrame([(bytearray(b"0a" * 32),)], "content binary")
    >>> digest = hmac_sha256(F.lit("text"), F.col("inner_pad"), F.col("outer_pad"))
    >>> expected = hmac.new(bytes.fromhex("0a" * 32), b"text", "sha256").hexdigest()
    >>> pads(key_file).select(digest).first()[0] == expected
    True
    """
    inner = F.sha2(F.concat(inner_pad, F.encode(message, "UTF-8")), 256)
    return F.sha2(F.concat(outer_pad, F.unhex(inner)), 256)


def pseudonymise(df: DataFrame, key_pads: DataFrame) -> DataFrame:
    """Replace identifiers by tokens and add `content_hash` over the mapped row.

    The content hash is keyed too, because an unkeyed hash of a home address could be guessed. It
    excludes position and layout of the delivery, so that a repeat has the same hash, and the label,
    which the source may correct. It has amounts with two decimals unless one of the row has more:
    earlier versions stored two. The token of a counterparty that is a customer is its token as a
    payer.

    >>> key_file = spark.createDataFrame([(bytearray(b"0a" * 32),)], "content binary")
    >>> payment = spark.sql(
    ...     "SELECT 'shop' source_system, 'c1' customer_id, string(NULL) instrument_id, "
    ...     "string(NULL) device_id, string(NULL) ip_hash, 'm1' counterparty_id, "
    ...     "'merchant' counterparty_type"
    ... )
    >>> row = pseudonymise(payment, pads(key_file)).first()
    >>> len(row.customer_id), row.device_id, row.counterparty_id
    (32, None, 'm1')
    """
    not_content = (
        "schema_version",
        "source_sequence",
        "raw_object",
        "raw_position",
        "ingested_at",
        "reasons",
        "rules",
        *LABEL_COLUMNS,
    )
    money = {name for name, kind in df.dtypes if kind == LogicalType.MONEY}
    names = [name for name in df.columns if name not in not_content]
    as_stored = F.to_json(F.struct(*names))
    in_cents = F.to_json(
        F.struct(*(F.col(n).cast(_CENTS).alias(n) if n in money else F.col(n) for n in names))
    )
    is_finer = [F.coalesce(F.col(name) * 100 % 1 != 0, F.lit(False)) for name in sorted(money)]
    content = F.when(reduce(or_, is_finer, F.lit(False)), as_stored).otherwise(in_cents)
    keyed = df.crossJoin(F.broadcast(key_pads))

    def hashed(kind: str, value: Column) -> Column:
        message = F.concat_ws("|", F.lit(kind), F.col("source_system"), value)
        digest = hmac_sha256(message, F.col("inner_pad"), F.col("outer_pad"))
        return F.when(value.isNotNull(), digest)

    tokens = {
        name: F.substring(hashed(kind, F.col(name)), 1, TOKEN_DIGITS)
        for name, kind in TOKEN_KINDS.items()
    }
    counterparty = F.col("counterparty_id")
    payee = F.substring(hashed("customer", counterparty), 1, TOKEN_DIGITS)
    tokens["counterparty_id"] = F.when(F.col("counterparty_type") == "customer", payee).otherwise(
        counterparty
    )
    return keyed.withColumns({"content_hash": hashed("content", content), **tokens}).drop(
        "inner_pad", "outer_pad"
    )

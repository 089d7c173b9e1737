"""Replace direct identifiers by keyed tokens, with the key in data and never in a plan.

A token is HMAC-SHA-256 (RFC 2104) over `<kind>|<source_system>|<value>`, the first 32 hexadecimal
digits. The key comes in as a frame of one row that Spark reads from the key file itself; a literal
would show in plans and logs.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_DIGITS = "0123456789abcdef"
_BLOCK_BYTES = 64
_TOKEN_DIGITS = 32
_INNER, _OUTER = 0x36, 0x5C
_TOKENS = {
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
    """Turn the content of a key file (64 hexadecimal digits) into HMAC's two padded keys.

    `key_file` has one row with a binary `content`, as Spark's binaryFile reads it.
    """
    written = F.lower(F.trim(F.regexp_replace(F.col("content").cast("string"), r"\s", "")))
    # Tokens under a short or empty key would look like any others.
    key_hex = F.when(written.rlike("^[0-9a-f]{64}$"), written).otherwise(
        F.raise_error(F.lit("the pseudonymisation key file does not hold 64 hexadecimal digits"))
    )
    return key_file.select(
        _pad(key_hex, _INNER).alias("inner_pad"), _pad(key_hex, _OUTER).alias("outer_pad")
    )


def hmac_sha256(message: Column, inner_pad: Column, outer_pad: Column) -> Column:
    """Return HMAC-SHA-256 of a text in hexadecimal digits."""
    inner = F.sha2(F.concat(inner_pad, F.encode(message, "UTF-8")), 256)
    return F.sha2(F.concat(outer_pad, F.unhex(inner)), 256)


def pseudonymise(df: DataFrame, key_pads: DataFrame) -> DataFrame:
    """Replace identifiers by tokens and add `content_hash` over the mapped row.

    The content hash is keyed too: a plain one would let a home address be found by trying.
    Position in the delivery and its layout are not content, so a repeat hashes alike. A
    counterparty that is a customer gets the token under which it pays.
    """
    where = (
        "schema_version",
        "source_sequence",
        "raw_object",
        "raw_position",
        "ingested_at",
        "reasons",
    )
    content = F.to_json(F.struct(*(name for name in df.columns if name not in where)))
    keyed = df.crossJoin(F.broadcast(key_pads))

    def hashed(kind: str, value: Column) -> Column:
        message = F.concat_ws("|", F.lit(kind), F.col("source_system"), value)
        digest = hmac_sha256(message, F.col("inner_pad"), F.col("outer_pad"))
        return F.when(value.isNotNull(), digest)

    tokens = {
        name: F.substring(hashed(kind, F.col(name)), 1, _TOKEN_DIGITS)
        for name, kind in _TOKENS.items()
    }
    paid = F.col("counterparty_id")
    payee = F.substring(hashed("customer", paid), 1, _TOKEN_DIGITS)
    tokens["counterparty_id"] = F.when(F.col("counterparty_type") == "customer", payee).otherwise(
        paid
    )
    return keyed.withColumns({"content_hash": hashed("content", content), **tokens}).drop(
        "inner_pad", "outer_pad"
    )

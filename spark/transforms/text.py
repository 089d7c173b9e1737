"""Canonical text, and text that may be stored, by the rules of `contracts/values.py`."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from contracts.values import CONTROL, ENDS, LONGEST_COMPOSED, NOT_DISPLAYED, SEPARATOR

_UNUSUAL: Final = "[^ -~]"
"""Any character but those of printable ASCII, which are canonical."""
_JSON: Final = {"writeNonAsciiCharacterAsCodePoint": "true"}


def text(value: Column) -> Column:
    r"""Return the canonical form of a text (`contracts.values.canonical`); an empty text is null.

    A text that is not UTF-8 stays as it is.

    >>> rows = spark.createDataFrame([(" a ",), ("\u00a0",), ("e\u0301\u200b",)], "v string")
    >>> [row[0] for row in rows.select(F.length(text(rows.v))).collect()]
    [1, None, 1]
    """
    is_unusual = value.rlike(_UNUSUAL) & F.is_valid_utf8(value)
    displayed = F.regexp_replace(value, NOT_DISPLAYED, "")
    blanks = F.when(is_unusual, F.regexp_replace(displayed, SEPARATOR, " ")).otherwise(value)
    trimmed = F.trim(blanks, F.lit(ENDS))
    # Spark has no function for it. ICU comes with Spark, and is called for unusual text alone.
    composed = F.reflect(
        F.lit("com.ibm.icu.text.Normalizer"), F.lit("compose"), trimmed, F.lit(False)
    )
    is_composed = is_unusual & (F.length(trimmed) <= LONGEST_COMPOSED)
    return F.when(trimmed == "", None).when(is_composed, composed).otherwise(trimmed)


def is_unprintable(value: Column) -> Column:
    r"""Return whether a text has a control character or is not UTF-8; false for null.

    >>> values = F.lit("e1\x00"), F.lit("é")
    >>> spark.range(1).select(*map(is_unprintable, values)).first()[:]
    (True, False)
    """
    return F.coalesce(value.rlike(CONTROL) | ~F.is_valid_utf8(value), F.lit(False))


def is_overlong(value: Column, longest: int) -> Column:
    """Return whether a text has more characters than `longest`; false for null.

    >>> spark.range(1).select(is_overlong(F.lit("éé"), 1), is_overlong(F.lit("é"), 1)).first()[:]
    (True, False)
    """
    return F.coalesce(F.length(value) > longest, F.lit(False))


def escaped(value: Column, longest: int) -> Column:
    r"""Return a text with its unusual characters escaped as in JSON, cut after `longest`.

    >>> spark.range(1).select(escaped(F.lit("e1\x00"), 10)).first()[0]
    'e1\\u0000'
    """
    as_utf8 = F.left(F.make_valid_utf8(value), F.lit(longest))
    quoted = F.to_json(F.array(as_utf8), _JSON)
    inner = F.substring(quoted, F.lit(3), F.length(quoted) - 4)
    # Of the control characters in ASCII, JSON leaves this one as it is.
    printable = F.replace(inner, F.lit("\x7f"), F.lit("?"))
    return F.when(value.isNotNull(), F.left(printable, F.lit(longest)))

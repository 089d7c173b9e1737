"""Rules of payments in Processed, STAGING and PRODUCTION."""

from itertools import chain
from typing import Final

from contracts.render.to_gx import WARNING, Rule, base_rules, between, free_of, hexadecimal, matches
from contracts.tables import Table

DIRECT_IDENTIFIER: Final = (
    "(?:^|[^0-9A-Za-z])(?:[0-9]{13,19}|[0-9]{3}-[0-9]{2}-[0-9]{4})(?:[^0-9A-Za-z]|$)"
)
TOKEN_COLUMNS: Final = ("customer_id", "instrument_id", "device_id", "ip_hash")


def token_rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules that no identifier of a person is left in a table."""
    tokens = chain.from_iterable(
        hexadecimal(name, 32, "a token, not a raw identifier")
        for name in TOKEN_COLUMNS
        if name in table.column_names
    )
    texts = (
        free_of(
            name,
            DIRECT_IDENTIFIER,
            "no card, account or social security number",
            "free text is where an identifier slips through",
        )
        for name in ("event_id", "counterparty_id", "merchant_category", "region")
        if name in table.column_names
    )
    return (*tokens, *texts)


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a table of payments."""
    return (
        *base_rules(table),
        *token_rules(table),
        matches("currency", "^[A-Z]{3}$", "three capitals", "ISO 4217"),
        matches("country", "^[A-Z]{2}$", "two capitals", "ISO 3166"),
        *hexadecimal("content_hash", 64, "a SHA-256"),
        matches(
            "region",
            "^.{1,30}$",
            "at most 30 characters",
            "the longest name of a state or province is shorter; an address is longer",
        ),
        between(
            "amount",
            0,
            100_000,
            "the sample's largest payment is 8,402.07; sources refuse absurd amounts themselves",
            WARNING,
            "plausible",
        ),
    )

"""Which columns of a payment a source system fills, known before a plan is made."""

from collections.abc import Iterator

from contracts.features import CUSTOMER_PAYEES, FEATURES, SOURCE_FEATURES
from sources.declaration import Source
from sources.registry import find
from sources.rules import ByAffix, Coded, Constant, Rule


def columns_filled(source_system: str) -> frozenset[str]:
    """Return the columns that a source fills, for `features` to know what it can compute.

    A source that is no longer declared may have filled them all.
    """
    declared = find(source_system)
    if declared is None:
        needs = (name for feature in FEATURES for name in feature.needs)
        return frozenset((*needs, SOURCE_FEATURES))
    return declared.fills | ({CUSTOMER_PAYEES} if _pays_customers(declared) else set())


def _pays_customers(source: Source) -> bool:
    rules = (version.mapping.get("counterparty_type") for version in source.versions)
    return any("customer" in _codes(rule) for rule in rules if rule is not None)


def _codes(rule: Rule) -> Iterator[str | int | None]:
    match rule:
        case Constant(value):
            yield value
        case ByAffix():
            yield from (rule.otherwise, *rule.prefixes.values(), *rule.suffixes.values())
        case Coded():
            yield from (rule.missing, *rule.codes.values())
        case _:  # the source writes the code itself
            yield "customer"

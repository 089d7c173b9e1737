"""Rules of PRODUCTION: marts reconcile with STAGING, and each key of a fact has its dimension."""

from typing import Final

from contracts.render.to_gx import WARNING, Rule, equal, not_empty
from expectations.suites.comparisons import zero

MARTS: Final = (
    "production.dim_customers",
    "production.dim_merchants",
    "production.dim_dates",
    "production.dim_currencies",
    "production.fct_transactions",
    "production.fct_fraud_labels",
    "production.rpt_fraud_daily",
    "production.rpt_fraud_overview",
    "production.rpt_fraud_patterns",
)
ORPHANS: Final = """
select
    count(*) filter (where c.customer_id is null) as without_customer,
    count(*) filter (where m.counterparty_id is null and f.counterparty_id is not null)
        as without_merchant,
    count(*) filter (where f.event_at < c.valid_from or f.event_at >= c.valid_to)
        as of_another_customer_version,
    count(*) filter (where f.event_at < m.valid_from or f.event_at >= m.valid_to)
        as of_another_merchant_version,
    count(*) filter (where d.calendar_date is null) as without_date,
    count(*) filter (where k.currency is null) as without_currency,
    count(*) filter (where not k.is_listed) as in_unknown_currency,
    (
        select count(*) from production_audit.fct_fraud_labels as l
        where l.source_system = %(source)s and l.event_date = any(%(dates)s) and not exists (
            select from production_audit.fct_transactions as t
            where t.source_system = l.source_system and t.event_id = l.event_id
                and t.event_date = l.event_date
        )
    ) as labels_without_payment
from production_audit.fct_transactions as f
left join production_audit.dim_customers as c on c.source_system = f.source_system
    and c.customer_id = f.customer_id and c.valid_from = f.customer_valid_from
left join production_audit.dim_merchants as m on m.source_system = f.source_system
    and m.counterparty_id = f.counterparty_id and m.valid_from = f.merchant_valid_from
left join production_audit.dim_dates as d on d.calendar_date = f.event_date
left join production_audit.dim_currencies as k on k.currency = f.currency
where f.source_system = %(source)s and f.event_date = any(%(dates)s)
"""

DIMENSIONS: Final = (
    ("dim_customers", "staging.customers", "customer_id"),
    ("dim_merchants", "staging.merchants", "counterparty_id"),
)
"""Each dimension of parties, its origin, and its key besides the source system."""

REPORTS: Final = (
    ("rpt_fraud_daily", "event_date", "true"),
    ("rpt_fraud_overview", "period_start", "period_type = 'day'"),
    ("rpt_fraud_patterns", "event_date", "true"),
)
"""Each report that sums the payments of a date, its date column, and a filter of its rows."""


def report_sums(report: str, day: str, which: str) -> str:
    """Return the query that compares a report and its fact by date and currency."""
    return f"""
with facts as (
    select event_date, source_system, currency, count(*) as n, sum(amount) as amount
    from production_audit.fct_transactions
    where source_system = %(source)s and event_date = any(%(dates)s) group by 1, 2, 3
),
report as (
    select
        {day} as event_date, source_system, currency,
        sum(transaction_count) as transaction_count, sum(amount) as amount,
        sum(known_fraud_count) as known_fraud_count
    from production_audit.{report}
    where source_system = %(source)s and {day} = any(%(dates)s) and {which} group by 1, 2, 3
)
select
    event_date, source_system, currency,
    coalesce(r.transaction_count, 0)::bigint as transaction_count,
    coalesce(f.n, 0) as transaction_count_before,
    coalesce(r.amount, 0) as amount,
    coalesce(f.amount, 0) as amount_before,
    greatest(coalesce(r.known_fraud_count, 0) - coalesce(f.n, 0), 0)::bigint
        as frauds_beyond_payments
from facts as f full join report as r using (event_date, source_system, currency)
order by 1, 2, 3
"""  # noqa: S608 - our names


def strays(dimension: str, origin: str, key: str) -> str:
    """Return the query of keys that are missing in a dimension or in its origin."""
    return (
        f"select source_system, count(*) filter (where o.{key} is null) as keys_of_nobody,"  # noqa: S608
        f" count(*) filter (where d.{key} is null) as keys_missing"
        f" from (select distinct source_system, {key} from production_audit.{dimension}) as d"
        f" full join {origin} as o using (source_system, {key})"
        " where source_system = %(source)s group by 1 order by 1"
    )


def versions(dimension: str, key: str) -> str:
    """Return the query of versions of a party that do not start at the end of the previous one."""
    party = f"over (partition by {key} order by valid_from)"
    return (
        "select %(source)s as source_system,"  # noqa: S608 - names of our own contracts
        " count(*) filter (where valid_from < previous_to) as overlapping,"
        " count(*) filter (where valid_from > previous_to) as apart,"
        " count(*) filter (where is_current <> (next_from is null)) as wrongly_current"
        f" from (select valid_from, is_current, lag(valid_to) {party} as previous_to,"
        f" lead(valid_from) {party} as next_from from production_audit.{dimension}"
        " where source_system = %(source)s) as versions"
    )


def orphan_rules() -> tuple[Rule, ...]:
    """Return the rules on the keys of the facts."""
    unjoined = "a fact without its dimension is missing in every report"
    return (
        *(
            zero(f"without_{what}", unjoined)
            for what in ("customer", "merchant", "date", "currency")
        ),
        zero(
            "in_unknown_currency",
            "amounts with a code outside of ISO 4217 cannot be added to others",
            WARNING,
        ),
        *(
            zero(
                f"of_another_{party}_version",
                "a payment refers to the version that is valid at its time",
            )
            for party in ("customer", "merchant")
        ),
        zero("labels_without_payment", "each label refers to a stored payment"),
    )


def stray_rules() -> tuple[Rule, ...]:
    """Return the rules that a dimension has exactly the keys of STAGING."""
    return (
        zero("keys_of_nobody", "a dimension has only parties of STAGING"),
        zero(
            "keys_missing",
            "a dimension is complete, except for parties of windows loaded since the build",
            WARNING,
        ),
    )


def version_rules() -> tuple[Rule, ...]:
    """Return the rules that exactly one version of a dimension is valid at any time."""
    return (
        zero("overlapping", "a payment has one version of a party, not two"),
        zero("apart", "a payment between two versions would have no version"),
        zero("wrongly_current", "the current version of a party is its last"),
    )


def report_rules(is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules on a report against the facts it sums."""
    return (
        equal("transaction_count", "transaction_count_before", "a report sums its facts"),
        equal("amount", "amount_before", "a report sums its facts, to the cent"),
        zero("frauds_beyond_payments", "there are no more frauds than payments"),
        *((not_empty(),) if is_expected else ()),
    )

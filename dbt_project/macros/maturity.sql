{#
    How many frauds will be known once the labels of a date have matured. Declared in
    dbt_project.yml:
        maturity_days  age in days at which the labels of a date count as complete
        cohort_days    how many dates, the youngest that have matured, label delays are estimated from
    A delay is the days from a payment until it was known to be fraud.
#}

{#
    Dates that matured since the last build, and dates whose labels changed or whose delays are
    estimated from dates with changed labels. With `before`, also this many days before each date.
#}
{% macro back_tested(column, before=0) -%}
    {%- set maturity_days = var("maturity_days") | int -%}
    {{ reported(
        column,
        after=maturity_days + var("cohort_days") | int - 1,
        since=maturity_days,
        until=maturity_days,
        before=before
    ) }}
{%- endmacro %}


{# Each age from that of a payment's own date to maturity, as `age_days`. #}
{% macro ages(days) -%}
    {%- for age in days %}
    select {{ age }} as age_days{{ " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# The share of frauds known at an age before maturity, by Jeffreys' prior: never quite 0 or 1. #}
{% macro share_known(known, frauds) -%}
    ({{ known }} + 0.5)::double precision / ({{ frauds }} + 1)
{%- endmacro %}


{#
    The rows of a relation with the frauds to expect: known_fraud_count k, of which a share
    label_maturity_share F of all is known by now, as cohort_fraud_count n frauds have shown.

    The point estimate is the chain ladder's k / F (Mack 1993), which adds up over dates without
    bias. The frauds not known yet are negative binomial, as counts reported with delay are (Lawless
    1994), with mean (k + 1/2) (1 - F) / F and variance (k + 1/2) (1 - F) / F^2, plus
    (k + 1/2)^2 (1 - F) / (n F^3) since F is itself estimated. The ends of the 90 % interval are the
    5 % and 95 % points of the gamma distribution of that mean and variance, by Wilson and Hilferty
    (1931), rounded outwards to whole frauds. Nothing is expected, rather than guessed, below a
    share of a quarter or from fewer than 20 frauds; of a matured date what is known is expected.
    `at_most` is how many there can be.
#}
{% macro expected_frauds(relation, at_most="9223372036854775807") -%}
    select
        moments.*,
        case
            when label_maturity_share = 1 then known_fraud_count
            when is_estimable
                then
                    least(
                        round(
                            (known_fraud_count / label_maturity_share)
                            ::numeric(18, 6),
                            4
                        ),
                        {{ at_most }}
                    )
        end::double precision as expected_fraud_count,
        case
            when label_maturity_share = 1 then known_fraud_count
            when is_estimable
                then
                    least(
                        known_fraud_count
                        + floor({{ unknown_frauds(-1.6449) }}),
                        {{ at_most }}
                    )
        end::bigint as expected_fraud_count_low,
        case
            when label_maturity_share = 1 then known_fraud_count
            when is_estimable
                then
                    least(
                        known_fraud_count
                        + ceil({{ unknown_frauds(1.6449) }}),
                        {{ at_most }}
                    )
        end::bigint as expected_fraud_count_high
    from (
        select
            *,
            label_maturity_share >= 0.25 and cohort_fraud_count >= 20
                as is_estimable,
            (known_fraud_count + 0.5) * (1 - label_maturity_share)
            / nullif(label_maturity_share, 0) as unknown_mean,
            -- Mean squared over variance; null when all is known.
            nullif((known_fraud_count + 0.5) * (1 - label_maturity_share), 0)
            / (
                1
                + (known_fraud_count + 0.5)
                / nullif(cohort_fraud_count * label_maturity_share, 0)
            ) as unknown_shape
        from {{ relation }}
    ) as moments
{%- endmacro %}


{# A point of that gamma distribution, by its place on the normal. #}
{% macro unknown_frauds(normal) -%}
    unknown_mean * power(
        greatest(
            0,
            coalesce(
                1 - 1 / (9 * unknown_shape)
                + ({{ normal }}) / (3 * sqrt(unknown_shape)),
                0
            )
        ),
        3
    )
{%- endmacro %}


{# Ages at which estimates are tested against what became known. #}
{% macro back_test_ages() -%}
    {{ return([1, 2, 3, 5, 7, 14, 30, 45]) }}
{%- endmacro %}

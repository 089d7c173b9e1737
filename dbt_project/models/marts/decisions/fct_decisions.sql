{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        on_schema_change="fail",
        indexes=[
            {"columns": ["recorded_at"]},
            {"columns": ["decided_date"]},
            {"columns": ["run_id"]},
        ],
        unique_key="run_id",
        event_time="recorded_at",
    )
}}

with decisions as (
    select * from {{ ref('stg_api__decisions') }}
),

recent as (
    select run_id
    from decisions
    {% if is_incremental() %}
        -- With a day of overlap.
        where
            recorded_at >= (
                select
                    coalesce(
                        max(existing.recorded_at) - interval '1 day',
                        {{ beginning_of_time() }}
                    )
                from {{ this }} as existing
            )
    {% endif %}
),

final as (
    select
        request_id,
        source_system,
        event_id,
        event_date,
        event_at,
        customer_id,
        counterparty_id,
        amount,
        currency,
        model_name,
        model_version,
        rules_version,
        feature_list_version,
        score,
        shadow_model_version,
        shadow_score,
        risk_level,
        decision,
        reason_codes,
        reason_sentences,
        is_degraded,
        degraded_causes,
        latency_seconds,
        caller,
        decided_at,
        recorded_at,
        run_id,
        {{ utc_date('decided_at') }} as decided_date
    from decisions
    where run_id in (select recent.run_id from recent)
)

select * from final

{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with performance as (
    select *
    from {{ ref('rpt_model_performance') }}
    where {{ reported('event_date') }}
),

drift as (
    select *
    from {{ ref('fct_feature_drift') }}
    where {{ reported('event_date') }}
),

alerts as (
    select *
    from {{ ref('fct_fraud_alerts') }}
    where {{ reported('event_date') }} and detected_by = 'batch'
),

importances as (
    select
        model_name,
        model_version,
        feature_name,
        importance,
        row_number() over (
            partition by model_name, model_version
            order by importance desc, feature_name asc
        ) as importance_rank
    from {{ ref('stg_model__importances') }}
    where {{ in_system() }}
),

reasons as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        lower(top_reason) as feature_name,
        count(*) as top_reason_count,
        sum(case when is_fraud then 1 else 0 end) as top_reason_fraud_count
    from alerts
    where top_reason is not null
    group by event_date, source_system, model_name, model_version, top_reason
),

-- Not every feature can drift within a day, and a model from before drift was
-- measured also has reasons.
features as (
    select
        performance.event_date,
        performance.source_system,
        performance.model_name,
        performance.model_version,
        importances.feature_name
    from importances
    inner join performance
        on
            importances.model_name = performance.model_name
            and importances.model_version = performance.model_version
    union distinct
    select
        event_date,
        source_system,
        model_name,
        model_version,
        feature_name
    from drift
    union distinct
    select
        event_date,
        source_system,
        model_name,
        model_version,
        feature_name
    from reasons
),

final as (
    select
        features.event_date,
        features.source_system,
        features.model_name,
        features.model_version,
        features.feature_name,
        importances.importance,
        importances.importance_rank,
        performance.transaction_count,
        drift.stability_index,
        drift.drift_level,
        performance.alert_count,
        coalesce(reasons.top_reason_count, 0)::bigint as top_reason_count,
        coalesce(reasons.top_reason_fraud_count, 0)::bigint
            as top_reason_fraud_count,
        coalesce(reasons.top_reason_count, 0)::double precision
        / nullif(performance.alert_count, 0) as top_reason_share
    from features
    inner join performance
        on
            features.event_date = performance.event_date
            and features.source_system = performance.source_system
            and features.model_name = performance.model_name
            and features.model_version = performance.model_version
    left join drift
        on
            features.event_date = drift.event_date
            and features.source_system = drift.source_system
            and features.model_name = drift.model_name
            and features.model_version = drift.model_version
            and features.feature_name = drift.feature_name
    left join reasons
        on
            features.event_date = reasons.event_date
            and features.source_system = reasons.source_system
            and features.model_name = reasons.model_name
            and features.model_version = reasons.model_version
            and features.feature_name = reasons.feature_name
    left join importances
        on
            features.model_name = importances.model_name
            and features.model_version = importances.model_version
            and features.feature_name = importances.feature_name
)

select * from final

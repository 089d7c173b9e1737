{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        tags=["models"],
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with versions as (
    select *
    from {{ ref('stg_model__versions') }}
    where {{ in_system() }}
),

promotions as (
    select
        model_name,
        model_version,
        promoted_at,
        lead(promoted_at) over (
            partition by model_name order by promoted_at asc, model_version asc
        ) as champion_to_at
    from versions
    where promoted_at is not null
),

final as (
    select
        versions.model_name,
        versions.model_version,
        versions.source_system,
        versions.candidate,
        versions.feature_list_version,
        versions.code_version,
        versions.trained_at,
        versions.trained_as_of_date,
        versions.training_snapshots,
        versions.training_count,
        versions.training_fraud_count,
        versions.test_average_precision,
        versions.test_auc,
        versions.test_card_precision_100,
        versions.test_recall_at_budget,
        versions.test_precision,
        versions.test_recall,
        versions.test_brier_score,
        versions.test_brier_skill,
        versions.alert_threshold,
        versions.verdict,
        versions.verdict_reason,
        coalesce(
            promotions.promoted_at is not null
            and promotions.champion_to_at is null,
            false
        ) as is_champion,
        promotions.promoted_at as champion_from_at,
        promotions.champion_to_at
    from versions
    left join promotions
        on
            versions.model_name = promotions.model_name
            and versions.model_version = promotions.model_version
)

select * from final

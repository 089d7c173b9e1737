{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

with replays as (
    select * from {{ ref('stg_api__replays') }}
),

compared as (
    select
        decided_date,
        source_system,
        cast(
            sum(
                case
                    when replay_outcome in ('matched', 'mismatched')
                        then decision_count
                    else 0
                end
            ) as bigint
        ) as compared_count,
        cast(
            sum(
                case
                    when replay_outcome = 'matched' then decision_count else 0
                end
            ) as bigint
        ) as matched_count
    from replays
    group by decided_date, source_system
),

final as (
    select
        replays.decided_date,
        replays.source_system,
        replays.replay_outcome,
        replays.decision_count,
        compared.compared_count,
        compared.matched_count::double precision
        / nullif(compared.compared_count, 0) as match_ratio,
        replays.replayed_at
    from replays
    left join compared
        on
            replays.decided_date = compared.decided_date
            and replays.source_system = compared.source_system
)

select * from final

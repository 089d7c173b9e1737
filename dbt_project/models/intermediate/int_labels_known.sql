with labels as (
    select * from {{ ref('fct_fraud_labels') }}
),

known as (
    select
        event_id,
        source_system,
        event_date,
        is_fraud,
        known_at,
        {{ utc_date('known_at') }} as known_date,
        case label_source
            {%- for label_source in label_sources() %}
                when '{{ label_source }}' then {{ loop.index }}
            {%- endfor %}
        end as label_source_rank
    from labels
    where known_at < {{ as_of_end() }}
),

-- By date too: what reads this cuts it by dates.
latest as (
    {{
        deduplicate(
            'known',
            partition_by='source_system, event_date, event_id',
            order_by='known_at desc, label_source_rank asc',
        )
    }}
),

final as (
    select
        event_id,
        source_system,
        event_date,
        is_fraud,
        known_at,
        known_date
    from latest
)

select * from final

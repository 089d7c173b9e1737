with transactions as (
    select * from {{ ref('fct_transactions') }}
),

dated as (
    select
        event_id,
        source_system,
        event_date,
        event_at,
        customer_id,
        merchant_category,
        channel,
        payment_method,
        country,
        currency,
        amount,
        {{ payment_known_date() }} as payment_known_date
    from transactions
),

final as (
    select *
    from dated
    where payment_known_date <= {{ as_of_date() }}
)

select * from final

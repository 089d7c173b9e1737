with payments as (
    select *
    from {{ ref('int_payments_known') }}
    where {{ reported('event_date') }}
),

labels as (
    select *
    from {{ ref('int_labels_known') }}
    where {{ reported('event_date') }}
),

final as (
    select
        payments.event_id,
        payments.source_system,
        payments.event_date,
        payments.event_at,
        payments.customer_id,
        payments.merchant_category,
        payments.channel,
        payments.payment_method,
        payments.country,
        payments.currency,
        payments.amount,
        payments.payment_known_date,
        labels.is_fraud,
        greatest(
            payments.payment_known_date,
            coalesce(labels.known_date, payments.payment_known_date)
        ) as known_date,
        case when labels.is_fraud then 1 else 0 end as fraud_count,
        case
            when labels.is_fraud then payments.amount else {{ as_money("0") }}
        end as fraud_amount
    from payments
    left join labels
        on
            payments.source_system = labels.source_system
            and payments.event_date = labels.event_date
            and payments.event_id = labels.event_id
)

select * from final

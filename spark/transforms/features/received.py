"""Money that came in shortly before it goes out.

Source: rapid movement of funds through an account is a red flag of money laundering (FATF,
Professional Money Laundering, 2018); the fraud of PaySim is a transfer to an account that cashes
out (Lopez-Rojas, Elmir, Axelsson, PaySim, 2016).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark.transforms.features.groups import DAY, Flags, Groups, Ints, money


def with_receipts(payments: pa.Table) -> pa.Table:
    """Add a row for the payee of each payment to a customer, `is_receipt`, as its `customer_id`.

    A payment to a customer is a receipt of that customer; its token is the same on both sides.
    """
    to_customer = pc.equal(payments["counterparty_type"], "customer")
    paid = pc.and_(to_customer, payments["counterparty_id"].is_valid())
    receipts = payments.filter(paid)
    place = payments.column_names.index("customer_id")
    payees = receipts["counterparty_id"]
    receipts = receipts.set_column(place, payments.schema.field(place), payees)
    sides = [
        rows.append_column("is_receipt", pa.repeat(pa.scalar(flag), rows.num_rows))
        for rows, flag in ((payments, False), (receipts, True))
    ]
    return pa.concat_tables(sides)


def received(customer: Ints, micros: Ints, cents: Ints, is_receipt: Flags) -> dict[str, pa.Array]:
    """Return what each payer received in the 24 h before, and the amount over it, per payment.

    The rows are in order of time with a payment before its own receipt: a receipt counts from its
    own place in the order on, so never for the payment that it is.
    """
    groups = Groups.of(customer, micros)
    so_far = groups.running(np.where(is_receipt, cents, 0))
    came_in = so_far[groups.through()] - so_far[groups.before(DAY)]
    everywhere = np.empty(len(cents), dtype=np.int64)
    everywhere[groups.order] = came_in
    own, out = everywhere[~is_receipt], cents[~is_receipt]
    ratio = np.zeros(len(own))
    np.divide(out, own, out=ratio, where=own > 0)
    return {
        "received_amount_24h": money(pa.array(own)),
        "amount_to_received_ratio": pa.array(ratio, mask=own <= 0),
    }

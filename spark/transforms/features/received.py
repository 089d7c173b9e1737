"""Money that a payer received shortly before a payment.

Source: rapid movement of funds through an account is a red flag of money laundering (FATF,
Professional Money Laundering, 2018); the fraud of PaySim is a transfer to an account that cashes
out (Lopez-Rojas, Elmir, Axelsson, PaySim, 2016).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark.transforms.features.groups import DAY, Flags, Groups, Ints, amounts_of, cents_of


def with_receipts(payments: pa.Table) -> pa.Table:
    """Add a row `is_receipt` for each payment to a customer, with the payee as its `customer_id`.

    The receipt has the same token as the payments of the payee.

    >>> payments = pa.table({"customer_id": ["a"], "counterparty_id": ["b"]})
    >>> payments = payments.append_column("counterparty_type", pa.array(["customer"]))
    >>> with_receipts(payments).select(["customer_id", "is_receipt"]).to_pylist()
    [{'customer_id': 'a', 'is_receipt': False}, {'customer_id': 'b', 'is_receipt': True}]
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


def received(customer: Ints, micros: Ints, money: Ints, is_receipt: Flags) -> dict[str, pa.Array]:
    """Return the money received in the 24 h before each payment, and the amount over it.

    Rows are ordered by time, with a payment before its receipt, so that a receipt never counts for
    its own payment. `money` has the amounts as `money_of` returns them.

    >>> customer, micros = np.array([0, 0]), np.array([0, DAY // 2])
    >>> money = np.array([[5, 0], [2, 0]])
    >>> features = received(customer, micros, money, np.array([True, False]))
    >>> features["amount_to_received_ratio"].to_pylist()
    [0.4]
    """
    groups = Groups.of(customer, micros)
    so_far = groups.running(np.where(is_receipt[:, np.newaxis], money, 0))
    received_sum = so_far[groups.through()] - so_far[groups.before(DAY)]
    everywhere = np.empty_like(money)
    everywhere[groups.order] = received_sum
    added = everywhere[~is_receipt]
    own, out = cents_of(added), cents_of(money[~is_receipt])
    ratio = np.zeros(len(own))
    np.divide(out, own, out=ratio, where=own > 0)
    return {
        "received_amount_24h": amounts_of(*map(pa.array, added.T)),
        "amount_to_received_ratio": pa.array(ratio, mask=own <= 0),
    }

"""Money that came in shortly before it goes out.

Source: rapid movement of funds through an account is a red flag of money laundering (FATF,
Professional Money Laundering, 2018); the fraud of PaySim is a transfer to an account that cashes
out (Lopez-Rojas, Elmir, Axelsson, PaySim, 2016).
"""

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.transforms.features.groups import DAY, Flags, Groups, Ints, money


def with_receipts(payments: DataFrame) -> DataFrame:
    """Add a row for the payee of each payment to a customer, `is_receipt`, as its `customer_id`.

    A payment to a customer is a receipt of that customer; its token is the same on both sides.
    """
    to_customer = (F.col("counterparty_type") == "customer") & F.col("counterparty_id").isNotNull()
    paid = F.struct("customer_id", F.lit(False).alias("is_receipt"))
    received = F.struct(
        F.col("counterparty_id").alias("customer_id"), F.lit(True).alias("is_receipt")
    )
    sides = F.when(to_customer, F.array(paid, received)).otherwise(F.array(paid))
    others = [name for name in payments.columns if name != "customer_id"]
    return payments.select(*others, F.inline(sides))


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

"""Money that came in shortly before it goes out.

Source: rapid movement of funds through an account is a red flag of money laundering (FATF,
Professional Money Laundering, 2018); the fraud of PaySim is a transfer to an account that cashes
out (Lopez-Rojas, Elmir, Axelsson, PaySim, 2016).
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.transforms.features.frames import CUSTOMER, DAY, ORDER, growing, money, so_far, total

_ORDER = (*ORDER, "is_receipt")


def with_received(payments: DataFrame) -> DataFrame:
    """Add what the payer received from customers in the 24 h before, and the amount over it.

    A payment to a customer is a receipt of that customer; its token is the same on both sides. A
    receipt counts from its own place in the order on, so never for the payment that it is.
    """
    to_customer = (F.col("counterparty_type") == "customer") & F.col("counterparty_id").isNotNull()
    paid = F.struct("customer_id", F.lit(0).alias("is_receipt"), F.lit(0).alias("in_cents"))
    received = F.struct(
        F.col("counterparty_id").alias("customer_id"),
        F.lit(1).alias("is_receipt"),
        F.col("cents").alias("in_cents"),
    )
    sides = F.when(to_customer, F.array(paid, received)).otherwise(F.array(paid))
    others = [name for name in payments.columns if name != "customer_id"]
    rows = payments.select(*others, F.inline(sides)).repartition(*CUSTOMER)
    until_now, day_before = so_far(CUSTOMER, _ORDER), growing(CUSTOMER, "micros", -DAY)
    rows = rows.withColumn("in_so_far", total(F.col("in_cents"), until_now))
    rows = rows.withColumn("in_before", total(F.col("in_cents"), day_before))
    cents = F.col("in_so_far") - F.col("in_before")
    return (
        rows.filter("is_receipt = 0")
        .withColumns(
            {
                "received_amount_24h": money(cents),
                "amount_to_received_ratio": F.when(cents > 0, F.col("cents") / cents),
            }
        )
        .drop("is_receipt", "in_cents", "in_so_far", "in_before")
    )

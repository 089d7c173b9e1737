"""What the payment itself tells: the time of day and of the week.

Source: the fraud-detection handbook (Le Borgne et al.), chapter 3, date and time transformations.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F


def of_the_payment() -> tuple[Column, ...]:
    """Return hour, weekend (Saturday, Sunday) and night (hour 0 to 6), all in UTC."""
    return (
        F.hour("event_at").alias("hour_of_day"),
        (F.weekday("event_at") >= 5).alias("is_weekend"),
        (F.hour("event_at") <= 6).alias("is_night"),
    )

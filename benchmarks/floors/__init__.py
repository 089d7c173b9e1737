"""Floors: baselines that compute the same results with a short, fast script in each engine.

The feature floors read the handbook's daily Parquet files, drop repeats of a TRANSACTION_ID,
compute the 14 features of the handbook's chapter 3 and write Parquet. Compared with the authors'
own table, numpy differs on 20 rows, DuckDB and Polars on 29: same-second ties of one customer.
"""

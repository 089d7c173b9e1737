"""A driver that serves Spark Connect, started by spark-submit, until its JVM exits.

Spark's `SparkConnectServer` isolates the class path of each session, and with it the daemon that
forks its Python workers: each Airflow task started a new daemon, which took two seconds and 60 MiB.
Sessions of the platform do not change the class path, so this driver does not isolate them. The
Connect service is the plugin in `spark.conf.server_conf`.
"""

import sys

from pyspark import SparkContext

if __name__ == "__main__":
    SparkContext()
    sys.stdin.read()  # a pipe from the JVM, which closes when the JVM exits

"""A driver that serves Spark Connect, started by spark-submit, until its JVM ends.

Spark's own `SparkConnectServer` isolates what a session adds to its class path, and with it the
daemon that forks its Python workers: each task of Airflow started one anew, which took two seconds
and 60 MiB. Our sessions add nothing, so they share a driver that does not isolate; the service
itself is the plugin that `spark.conf.server_conf` names.
"""

import sys

from pyspark import SparkContext

if __name__ == "__main__":
    SparkContext()
    sys.stdin.read()  # a pipe from the JVM, which ends with it

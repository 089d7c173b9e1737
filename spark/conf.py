"""Spark's configuration, declared once for the Connect server and for a session in process."""

from __future__ import annotations

from contracts.settings import S3Role, Settings

_CATALOG = "spark.sql.catalog.lake"
COMPILE_LONG = "-XX:-DontCompileHugeMethods"
"""What Spark generates for a wide row is longer than Java compiles unasked, else interpreted."""


def lake_conf(settings: Settings) -> dict[str, str]:
    """Return what a session needs to read Raw and to read and write the lake."""
    access, secret = settings.s3.keys("processor")
    s3 = {"endpoint": settings.s3.endpoint, "access": access, "secret": secret.get_secret_value()}
    return {
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
        _CATALOG: "org.apache.iceberg.spark.SparkCatalog",
        f"{_CATALOG}.type": "jdbc",
        f"{_CATALOG}.uri": settings.catalog.jdbc_url,
        f"{_CATALOG}.jdbc.user": settings.catalog.user("writer"),
        f"{_CATALOG}.jdbc.password": settings.catalog.password("writer").get_secret_value(),
        f"{_CATALOG}.jdbc.schema-version": "V1",
        f"{_CATALOG}.warehouse": f"s3://{settings.s3.lake_bucket}/warehouse",
        f"{_CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{_CATALOG}.s3.endpoint": s3["endpoint"],
        f"{_CATALOG}.s3.path-style-access": "true",
        f"{_CATALOG}.s3.access-key-id": s3["access"],
        f"{_CATALOG}.s3.secret-access-key": s3["secret"],
        f"{_CATALOG}.client.region": settings.s3.region,
        **_raw_conf(settings, "processor"),
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.shuffle.partitions": "4",
        # A limit in bytes is looked at row by row; that in rows is enough.
        "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
        "spark.python.daemon.module": "spark.worker_daemon",
        # A day of a source needs some 300 classes. Of the default 100, none is left by the next
        # day: they are generated, and compiled by Java, again.
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.ui.enabled": "false",
        "spark.redaction.regex": "(?i)secret|password|token|access[.-]?key",
    }


def _raw_conf(settings: Settings, role: S3Role) -> dict[str, str]:
    """Return S3A's options: fail fast on loopback, one role's key."""
    access, secret = settings.s3.keys(role)
    options = {
        "endpoint": settings.s3.endpoint,
        "endpoint.region": settings.s3.region,
        "path.style.access": "true",
        "connection.ssl.enabled": "false",
        "access.key": access,
        "secret.key": secret.get_secret_value(),
        "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "attempts.maximum": "2",
        "retry.limit": "2",
        "retry.interval": "200ms",
        "connection.establish.timeout": "5s",
        "connection.timeout": "30s",
        "bucket.probe": "0",
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in options.items()}


def server_conf(settings: Settings) -> dict[str, str]:
    """Return the Connect server's configuration, secrets and token included."""
    return {
        **lake_conf(settings),
        "spark.app.name": "tollgate",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.master": "local[*]",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(settings.port("spark")),
    }


def standalone_conf(secret: str) -> dict[str, str]:
    """Return what every part of a standalone cluster must agree on: who may talk, and how.

    Executors get the lake's keys from the driver by RPC, so that is encrypted too.
    """
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        "spark.network.crypto.enabled": "true",
        "spark.master.rest.enabled": "false",
        "spark.master.ui.killEnabled": "false",
        "spark.ui.killEnabled": "false",
        "spark.worker.cleanup.enabled": "true",
    }


def cluster_conf(
    settings: Settings, *, master: str, secret: str, class_path: str
) -> dict[str, str]:
    """Return the configuration of a Connect server in front of a standalone cluster.

    `class_path` is where each machine has the jars. The lake, its keys and the session are those of
    `server_conf`; only who does the work differs.
    """
    return {
        **server_conf(settings),
        **standalone_conf(secret),
        "spark.master": master,
        "spark.executor.cores": "1",
        "spark.executor.memory": "640m",
        "spark.executor.extraClassPath": class_path,
        "spark.executor.extraJavaOptions": (
            f"-XX:+UseSerialGC {COMPILE_LONG} -Djava.net.preferIPv4Stack=true"
        ),
    }

"""The Spark configuration of the Connect server and of sessions in the process."""

from __future__ import annotations

from contracts.settings import S3Role, Settings

_CATALOG = "spark.sql.catalog.lake"
COMPILE_LONG = "-XX:-DontCompileHugeMethods"
"""By default Java interprets the long methods that Spark generates for wide rows."""

READER_CONF = {
    # Spark has no timestamps in nanoseconds, as pandas writes them, and refuses the file otherwise.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
}
"""What a session needs to read delivered Parquet."""


def lake_conf(settings: Settings) -> dict[str, str]:
    """Return the configuration of a session that reads Raw and reads and writes the lake."""
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
        # A table that is replaced keeps which of its columns are required.
        f"{_CATALOG}.use-nullable-query-schema": "false",
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
        **READER_CONF,
        "spark.sql.shuffle.partitions": "4",
        # Spark checks a limit in bytes for each row; the limit in rows suffices.
        "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
        # A day of a source needs about 300 classes. With the default of 100, all are evicted before
        # the next day, which generates and compiles them again.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Of columns that are computed from each other Spark infers thousands of constraints, for
        # filters that the jobs state themselves, on each side of a join.
        "spark.sql.constraintPropagation.enabled": "false",
        "spark.ui.enabled": "false",
        # A driver keeps plans and metrics of its last 1000 queries for a UI that is not there.
        "spark.sql.ui.retainedExecutions": "20",
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "200",
        "spark.redaction.regex": "(?i)secret|password|token|access[.-]?key",
    }


def _raw_conf(settings: Settings, role: S3Role) -> dict[str, str]:
    """Return the S3A options with the key of one role and short timeouts."""
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
    """Return the configuration of the Connect server, including secrets and the token."""
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
    """Return the authentication and encryption of all processes of a standalone cluster.

    RPC is encrypted, because the driver sends the keys of the lake to the executors.
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

    `class_path` is the path of the jars on each machine. Lake, keys and session are configured as
    in `server_conf`; only the executors differ.
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

"""The object store: a client for each role, and its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from contracts.settings import S3Role, Settings
from sources.errors import StoreRefusedError, StoreUnreachableError

_TAKEN: Final = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_REFUSED: Final = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "NoSuchBucket",
    "XAdminUserNotFound",
}


def s3_client(settings: Settings, role: S3Role) -> Any:
    """Return a boto3 client with the key of `role`."""
    import boto3
    from botocore.config import Config

    access_key, secret_key = settings.s3.keys(role)
    return boto3.client(
        "s3",
        endpoint_url=settings.s3.endpoint,
        region_name=settings.s3.region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key.get_secret_value(),
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path"},
        ),
    )


def error_code(error: ClientError) -> str:
    """Return the error code of the store."""
    return str(error.response.get("Error", {}).get("Code", ""))


def create(s3_client: Any, bucket: str, key: str, body: Any, **options: Any) -> bool:
    """Create an object; return False when it exists already."""
    try:
        s3_client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", **options)
    except ClientError as error:
        if error_code(error) in _TAKEN:
            return False
        raise
    return True


@contextmanager
def explained(bucket: str) -> Iterator[None]:
    """Replace errors of the store's client by errors with a clear message.

    Raises:
        StoreRefusedError: when the store does not accept the key, or has no such bucket.
        StoreUnreachableError: when it does not respond, or is temporarily unavailable.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _REFUSED:
            raise StoreRefusedError(
                f"the object store refused access to bucket {bucket} ({code}):"
                " check the key of this connection and its permissions."
            ) from error
        raise StoreUnreachableError(
            f"the object store failed at bucket {bucket} ({code}): try again."
        ) from error
    except BotoCoreError as error:
        raise StoreUnreachableError(
            f"the object store does not respond for bucket {bucket}"
            f" ({type(error).__name__}): check that it runs, then retry."
        ) from error

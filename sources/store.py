"""The object store: a client a role, and its failures in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from contracts.settings import S3Role, Settings
from sources.errors import StoreRefusedError, StoreUnreachableError

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
    """Return the code of what the store answered."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(bucket: str) -> Iterator[None]:
    """Turn what the store's client raises into one sentence of ours.

    Raises:
        StoreRefusedError: when the store does not accept the key, or has no such bucket.
        StoreUnreachableError: when it does not answer, or answers that it cannot now.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _REFUSED:
            raise StoreRefusedError(
                f"the object store refused us at bucket {bucket} ({code}):"
                " check the key of this connection and what it may do."
            ) from error
        raise StoreUnreachableError(
            f"the object store failed at bucket {bucket} ({code}): try again."
        ) from error
    except BotoCoreError as error:
        raise StoreUnreachableError(
            f"the object store does not answer for bucket {bucket}"
            f" ({type(error).__name__}): check that it runs, then try again."
        ) from error

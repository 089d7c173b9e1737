"""The S3 server (versitygw): buckets, a key for each role, and bucket policies."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from contracts.settings import HOST, S3, S3Role, Settings
from embedded import secrets
from embedded.places import s3_binary
from embedded.services.common import environment, http_ok, job, owns_port
from embedded.supervisor import Launch, Service

ROOT_USER = "root"
ROLES: tuple[S3Role, ...] = ("lander", "processor", "reader", "platform")
_LIST = ["s3:ListBucket", "s3:GetBucketLocation"]
_READ = ["s3:GetObject"]
_CREATE = ["s3:GetObject", "s3:PutObject"]
_WRITE = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
]


def grants(s3: S3) -> dict[str, dict[S3Role, list[str]]]:
    """Return, for each bucket, the permitted actions of each role."""
    return {
        s3.raw_bucket: {"lander": _CREATE, "processor": _READ},
        s3.lake_bucket: {"processor": _WRITE, "reader": _READ},
        s3.artifacts_bucket: {"platform": _WRITE},
        s3.docs_bucket: {"platform": _WRITE},
        s3.logs_bucket: {"platform": _WRITE},
    }


def _policy(bucket: str, roles: dict[S3Role, list[str]]) -> str:
    statements: list[dict[str, Any]] = []
    for role, actions in roles.items():
        who = {"Effect": "Allow", "Principal": {"AWS": [role]}}
        statements.append({**who, "Action": _LIST, "Resource": f"arn:aws:s3:::{bucket}"})
        statements.append({**who, "Action": actions, "Resource": f"arn:aws:s3:::{bucket}/*"})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _launch(settings: Settings) -> Launch:
    home = settings.state_dir / "s3"
    for name in ("data", "versions", "users"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    if not s3_binary().is_file():
        raise FileNotFoundError("The S3 server is not built: run `make setup`.")
    argv = [
        str(s3_binary()),
        *("--port", f"{HOST}:{settings.port('s3')}", "--region", settings.s3.region),
        *("--keep-alive", "--quiet", "--iam-dir", str(home / "users"), "--health", "/healthz"),
        *("posix", "--versioning-dir", str(home / "versions"), str(home / "data")),
    ]
    root = {
        "ROOT_ACCESS_KEY": ROOT_USER,
        "ROOT_SECRET_KEY": secrets.read(settings.secrets_dir, "s3_root"),
    }
    return Launch(argv, environment(settings, root), home)


def _ready(settings: Settings, pid: int, started: float) -> bool:
    healthy = http_ok(f"{settings.s3.endpoint}/healthz") is not None
    return healthy and owns_port(pid, started, settings.port("s3"))


def _declaration(settings: Settings) -> str:
    keys = [secrets.read(settings.secrets_dir, f"s3_{role}") for role in ROLES]
    return hashlib.sha256(json.dumps([keys, grants(settings.s3)]).encode()).hexdigest()


def _after_ready(settings: Settings) -> None:
    """Create users and buckets, unless the stamp records the same declaration."""
    stamp = settings.state_dir / "s3" / "declared"
    declared = _declaration(settings)
    if not stamp.is_file() or stamp.read_text() != declared:
        job(settings, "s3")
        secrets.write_private(stamp, declared)


def create(settings: Settings) -> None:
    """Create or update users, buckets, versioning and policies as declared."""
    import boto3
    from botocore.exceptions import ClientError

    root_secret = secrets.read(settings.secrets_dir, "s3_root")
    for role in ROLES:
        _create_user(settings, role, root_secret)
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3.endpoint,
        region_name=settings.s3.region,
        aws_access_key_id=ROOT_USER,
        aws_secret_access_key=root_secret,
    )
    for bucket, roles in grants(settings.s3).items():
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError:
            client.create_bucket(Bucket=bucket)
        client.put_bucket_policy(Bucket=bucket, Policy=_policy(bucket, roles))
    client.put_bucket_versioning(
        Bucket=settings.s3.raw_bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def _create_user(settings: Settings, role: S3Role, root_secret: str) -> None:
    """Create a user or update its key, with signed requests to the server's admin API.

    The admin command of the server takes the key as an argument, which other users can see.
    """
    import httpx
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    secret = f"<Secret>{secrets.read(settings.secrets_dir, f's3_{role}')}</Secret>"
    bodies = {
        "create-user": f"<Account><Access>{role}</Access>{secret}<Role>user</Role></Account>",
        f"update-user?access={role}": f"<MutableProps>{secret}</MutableProps>",
    }
    answers = []
    for path, body in bodies.items():
        request = AWSRequest("PATCH", f"{settings.s3.endpoint}/{path}", data=body.encode())
        S3SigV4Auth(Credentials(ROOT_USER, root_secret), "s3", settings.s3.region).add_auth(request)
        answer = httpx.patch(request.url, content=request.body, headers=dict(request.headers))
        if answer.is_success:
            return
        answers.append(f"{answer.status_code} {answer.text[:200]}")
    raise RuntimeError(f"the S3 server refused to create user {role}: {answers}")


def service(settings: Settings) -> Service:
    """Declare the S3 server."""
    return Service(
        name="s3",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: _ready(settings, pid, started),
        after_ready=lambda: _after_ready(settings),
        port=settings.port("s3"),
        url=settings.s3.endpoint,
    )

"""The S3 server (versitygw): a bucket a purpose, a key a role, policies that say who may what."""

from __future__ import annotations

import hashlib
import json
import subprocess
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
    """Return, for each bucket, what each role may do with its objects."""
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
    """Create users and buckets, unless the stamp says that these very ones were."""
    stamp = settings.state_dir / "s3" / "declared"
    declared = _declaration(settings)
    if not stamp.is_file() or stamp.read_text() != declared:
        job(settings, "s3")
        secrets.write_private(stamp, declared)


def create(settings: Settings) -> None:
    """Bring users, buckets, versioning and policies to what is declared here."""
    import boto3
    from botocore.exceptions import ClientError

    root_secret = secrets.read(settings.secrets_dir, "s3_root")
    admin = environment(
        settings,
        {
            "ADMIN_ACCESS_KEY": ROOT_USER,
            "ADMIN_SECRET_KEY": root_secret,
            "ADMIN_ENDPOINT_URL": settings.s3.endpoint,
            "ADMIN_REGION": settings.s3.region,
        },
    )
    users = subprocess.run(
        [str(s3_binary()), "admin", "list-users"],
        env=admin,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for role in ROLES:
        verb = "update-user" if role in users else "create-user"
        secret = secrets.read(settings.secrets_dir, f"s3_{role}")
        argv = [str(s3_binary()), "admin", verb, "--access", role, "--secret", secret]
        argv += ["--role", "user"]
        subprocess.run(argv, env=admin, capture_output=True, check=True)
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

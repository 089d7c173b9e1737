"""Superset, an optional service with a separate environment and a database in Postgres."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from contracts.settings import HOST, Settings
from embedded import secrets
from embedded.places import REPO, SUPERSET_LOCK, superset_bin
from embedded.services.common import command, environment, http_ok, owns_port
from embedded.supervisor import Launch, Service

_FOLDER = REPO / "bi" / "superset"


def _environment(settings: Settings) -> dict[str, str]:
    password = quote(secrets.read(settings.secrets_dir, "superset_db"), safe="")
    login = f"superset:{password}@{HOST}:{settings.port('postgres')}"
    return environment(
        settings,
        {
            # Superset has other packages, so the repository is not on its path.
            "PYTHONPATH": "",
            "SUPERSET_HOME": str(settings.state_dir / "superset"),
            "SUPERSET_CONFIG_PATH": str(_FOLDER / "superset_config.py"),
            "SUPERSET_SECRET_KEY": secrets.read(settings.secrets_dir, "superset_key"),
            "SUPERSET__SQLALCHEMY_DATABASE_URI": f"postgresql+psycopg2://{login}/superset",
            "SCARF_ANALYTICS": "false",
            "MALLOC_ARENA_MAX": "2",
        },
    )


def _prepare(settings: Settings, environ: dict[str, str]) -> None:
    """Migrate the database and create the admin, unless the stamp records this version."""
    password = settings.superset.password.get_secret_value()
    parts = (SUPERSET_LOCK.read_text(), (_FOLDER / "prepare.py").read_text(), password)
    wanted = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    stamp = settings.state_dir / "superset" / "prepared"
    if not stamp.is_file() or stamp.read_text() != wanted:
        argv = [str(superset_bin() / "python"), str(_FOLDER / "prepare.py")]
        command([*argv, settings.superset.username], environ, given=password)
        secrets.write_private(stamp, wanted)


def _launch(settings: Settings) -> Launch:
    home = settings.state_dir / "superset"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    environ = _environment(settings)
    _prepare(settings, environ)
    argv = [
        *(str(superset_bin() / "python"), "-m", "gunicorn", "--no-control-socket"),
        *("--bind", f"{HOST}:{settings.port('superset')}", "--timeout", "60"),
        *("--workers", "1", "--worker-class", "gthread", "--threads", "8"),
        "superset.app:create_app()",
    ]
    return Launch(argv, environ, home)


def _ready(settings: Settings, pid: int, started: float) -> bool:
    healthy = http_ok(f"{settings.superset.url}/health") is not None
    return healthy and owns_port(pid, started, settings.port("superset"))


def service(settings: Settings) -> Service:
    """Declare Superset."""
    return Service(
        name="superset",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: _ready(settings, pid, started),
        needs=("postgres",),
        port=settings.port("superset"),
        url=settings.superset.url,
        optional=True,
    )

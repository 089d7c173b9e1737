"""The dbt command as a developer runs it by hand."""

import io
import shlex
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

from contracts.settings import Settings
from embedded import console
from warehouse import dbt_runner


def developer_shell(settings: Settings, folder: Path) -> dict[str, str]:
    """Return the environment after `make env ROLE=developer`; dbt writes its files to `folder`."""
    with redirect_stdout(io.StringIO()) as printed:
        console.print_exports(settings, "developer")
    exports = [word for word in shlex.split(printed.getvalue()) if word != "export"]
    return {
        **dict(export.split("=", 1) for export in exports),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


def run_dbt(shell: dict[str, str], *arguments: str, succeeds: bool = True) -> str:
    """Run the dbt command with this environment and return what it printed."""
    done = subprocess.run(
        ["dbt", *arguments],
        env=shell,
        cwd=dbt_runner.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
    return done.stdout

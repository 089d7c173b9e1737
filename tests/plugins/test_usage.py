"""Work that is known to burn CPU and to hold memory is measured so, within bounds."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tollgate_airflow.usage import watched

_LINUX = sys.platform == "linux"
_BURN = """
    import time

    def burn(seconds):
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
"""


def _told(body: str) -> Any:
    """Run a program in a process of its own and return what it prints."""
    program = textwrap.dedent(_BURN) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd="plugins"
    )
    return json.loads(done.stdout)


def test_a_process_measures_its_own_cpu_and_memory() -> None:
    told = _told("""
        import json
        from tollgate_airflow.usage import Meter

        early = b"x" * (300 * 2**20)
        burn(0.5)
        del early
        meter = Meter()
        held = b"x" * (100 * 2**20)
        burn(0.4)
        used = meter.read()
        print(json.dumps([used.seconds, used.cpu_seconds, used.peak_memory_mib]))
    """)
    seconds, cpu_seconds, peak = told
    assert 0.4 <= cpu_seconds <= 0.8
    assert seconds >= 0.4
    assert peak >= 100
    if _LINUX:
        # What was held before the work is not its own.
        assert peak <= 200


def test_a_child_counts_once_it_was_waited_for() -> None:
    child = textwrap.dedent(_BURN) + "held = b'x' * (200 * 2**20)\nburn(0.4)"
    cpu_seconds, peak = _told(f"""
        import json, subprocess, sys
        from tollgate_airflow.usage import Meter

        meter = Meter()
        subprocess.run([sys.executable, "-c", {child!r}], check=True)
        used = meter.read()
        print(json.dumps([used.cpu_seconds, used.peak_memory_mib]))
    """)
    assert 0.4 <= cpu_seconds <= 1.5
    assert 200 <= peak <= 300


@pytest.mark.skipif(not _LINUX, reason="other systems do not tell")
def test_bytes_are_those_of_files(tmp_path: Any) -> None:
    read, written = _told(f"""
        import json
        from pathlib import Path
        from tollgate_airflow.usage import Meter

        meter, file = Meter(), Path({str(tmp_path / "some")!r})
        file.write_bytes(b"x" * 5_000_000)
        file.read_bytes(), file.read_bytes()
        used = meter.read()
        print(json.dumps([used.bytes_read, used.bytes_written]))
    """)
    assert 10_000_000 <= read <= 11_000_000
    assert 5_000_000 <= written <= 5_100_000


def test_a_server_is_watched_while_it_works() -> None:
    program = textwrap.dedent(_BURN) + (
        "held = b'x' * (150 * 2**20)\nprint('ready', flush=True)\n"
        "input()\nburn(0.5)\nprint('done', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        with watched(server.pid) as found:
            server.stdin.write("\n")
            server.stdin.flush()
            assert server.stdout.readline() == "done\n"
        (used,) = found
        assert 0.45 <= used.cpu_seconds <= 1.0
        assert 150 <= used.peak_memory_mib <= 250
        with watched(server.pid) as nothing:
            server.kill()
            server.wait()
    assert nothing == []
    with watched(server.pid) as nothing:
        pass
    assert nothing == []

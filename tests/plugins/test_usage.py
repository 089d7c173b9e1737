"""Work that is known to burn CPU and to hold memory is measured so.

The same process tells by another clock what it burnt: how fast the machine is decides nothing.
"""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tests.plugins.working_server import BURN, working_server
from tollgate_airflow.usage import watched

_LINUX = sys.platform == "linux"
_TICKS = 0.05  # the system tells some of the times in hundredths of a second, each cut off


def _result_of(body: str) -> Any:
    """Run a program in a separate process and return its parsed output."""
    program = BURN + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd="plugins"
    )
    return json.loads(done.stdout)


def test_a_process_measures_its_own_cpu_and_memory() -> None:
    usage = _result_of("""
        import json
        from tollgate_airflow.usage import Meter

        early = b"x" * (300 * 2**20)
        burn(0.5)
        del early
        began = time.process_time()
        meter = Meter()
        block = b"x" * (100 * 2**20)
        burn(0.4)
        used = meter.read()
        burnt = time.process_time() - began
        print(json.dumps([used.seconds, used.cpu_seconds, burnt, used.peak_memory_mib]))
    """)
    seconds, cpu_seconds, burnt, peak = usage
    assert 0.4 - _TICKS <= cpu_seconds <= burnt + _TICKS
    assert seconds >= 0.4 - _TICKS
    assert peak >= 100
    if _LINUX:
        # Memory that was allocated before the work does not count.
        assert peak <= 200


def test_a_child_process_counts_after_it_was_waited_for() -> None:
    child = BURN + "block = b'x' * (200 * 2**20)\nburn(0.4)"
    cpu_seconds, burnt, peak = _result_of(f"""
        import json, os, subprocess, sys
        from tollgate_airflow.usage import Meter

        before = sum(os.times()[:4])
        meter = Meter()
        subprocess.run([sys.executable, "-c", {child!r}], check=True)
        used = meter.read()
        burnt = sum(os.times()[:4]) - before
        print(json.dumps([used.cpu_seconds, burnt, used.peak_memory_mib]))
    """)
    assert 0.4 - _TICKS <= cpu_seconds <= burnt + _TICKS
    assert 200 <= peak <= 300


@pytest.mark.skipif(not _LINUX, reason="other systems do not report it")
def test_bytes_are_those_of_files(tmp_path: Any) -> None:
    read, written = _result_of(f"""
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
    with working_server() as server:
        with watched(server.pid) as found:
            burnt = server.work()
        (used,) = found
        assert burnt - _TICKS <= used.cpu_seconds <= burnt + _TICKS
        assert 150 <= used.peak_memory_mib <= 250
        with watched(server.pid) as nothing:
            server.kill()
    assert nothing == []
    with watched(server.pid) as nothing:
        pass
    assert nothing == []

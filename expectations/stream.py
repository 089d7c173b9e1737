"""Gate raw of a stream: sent = validated + rejected, to the message."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.results import GateResult
from contracts.stages import Gate
from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.run import evaluate
from expectations.suites import raw

if TYPE_CHECKING:
    from sources.stream_batches import Account

_TABLE: Final = "raw.transactions"


def gate_stream(
    accounts: "Mapping[int, Account]", window: Window, run_id: str, state_dir: Path
) -> GateResult:
    """Check that each message of each partition of `transactions` has an outcome in Raw.

    `accounts` count the messages up to the newest one that has landed. `window` is the one under
    which the result is recorded.
    """
    import pandas as pd

    rows = [
        {
            "partition": partition,
            "sent": account.sent,
            "validated": account.validated,
            "rejected": account.rejected,
            "repeated": account.repeated,
            "with_outcome": account.validated + account.rejected - account.repeated,
        }
        for partition, account in sorted(accounts.items())
    ]
    batch = Batch(
        _TABLE, pd.DataFrame(rows), raw.message_rules(), label=("partition",), part="messages"
    )
    return evaluate(Gate.RAW, window, run_id, [batch], state_dir)

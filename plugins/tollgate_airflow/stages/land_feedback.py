"""Landing of the feedback of analysts in Raw, beside the payments that it names."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contracts.settings import get_settings
from contracts.stages import Stage
from tollgate_airflow import connections
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run
from tollgate_airflow.task_metrics import belongs_to

_log = logging.getLogger(__name__)


@guarded
def land(context: Any) -> list[dict[str, Any]]:
    """Land feedback that has not landed; return the landings of the windows that it belongs to."""
    from sources.discover import Delivery
    from sources.land import land_feedback
    from warehouse.feedback import label_files

    s3, bucket = connections.s3("lander"), get_settings().s3.raw_bucket
    landings = []
    for window, files in label_files(connections.warehouse("loader")).items():
        run = Run.of(Stage.LAND, context, window)
        belongs_to(run)
        with TemporaryDirectory() as folder:
            deliveries = []
            for day, content in files.items():
                path = Path(folder, f"{day}.jsonl")
                path.write_bytes(content)
                deliveries.append(Delivery(path))
            landed = land_feedback(window, s3, bucket, deliveries, run_id=run.run_id)
        if landed is not None:
            _log.info("%s has new feedback", window.key)
            landings.append(landed.to_dict())
    return landings

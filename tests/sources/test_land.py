import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from pydantic import SecretStr

from contracts.settings import Settings
from contracts.stage_results import LandResult
from contracts.windows import Window
from sources import registry
from sources.discover import Delivery
from sources.errors import StoreRefusedError, StoreUnreachableError
from sources.land import land, land_feedback
from sources.manifest import Manifest, find_latest, named
from sources.store import s3_client

pytestmark = pytest.mark.stack

DAY = Path(__file__).resolve().parents[2] / "data/sparkov/transactions/2024-05-01.parquet"


@pytest.fixture
def window() -> Window:
    """Return a window that no other test lands, nor an earlier run: a day of a far year."""
    first, last = date(2300, 1, 1).toordinal(), date(9990, 1, 1).toordinal()
    day = date.fromordinal(first + uuid4().int % (last - first))
    return Window.of("sparkov", day.isoformat())


def delivery(folder: Path, window: Window, content: bytes | None = None) -> list[Delivery]:
    """Deliver a day with unique content."""
    path = folder / f"{window.start.isoformat()}.parquet"
    if content is None:
        frame = pd.read_parquet(DAY).head(5)
        frame.assign(trans_num=[uuid4().hex for _ in range(5)]).to_parquet(path, index=False)
    else:
        path.write_bytes(content)
    return [Delivery(path)]


def objects(client: Any, bucket: str, window: Window) -> list[str]:
    listed = [
        client.list_objects_v2(Bucket=bucket, Prefix=f"sparkov/{kind}/{window.span}/")
        for kind in ("transactions", "manifests")
    ]
    return sorted(f"{v['Key']}@{v['LastModified']}" for one in listed for v in one["Contents"])


def test_a_delivery_lands_byte_for_byte_with_its_manifest(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files = delivery(tmp_path, window)

    result = land(window, client, bucket, files, run_id="r1")

    manifest = find_latest(client, bucket, window)
    (item,) = manifest.objects
    body = client.get_object(Bucket=bucket, Key=item.key)["Body"].read()
    assert body == files[0].path.read_bytes()
    assert item.sha256 == hashlib.sha256(body).hexdigest()
    assert item.key == f"sparkov/transactions/{window.span}/{item.sha256[:16]}.parquet"
    assert (item.rows, item.bytes, item.problem) == (5, len(body), None)
    total = Decimal(str(round(pd.read_parquet(files[0].path)["amt"].sum(), 2)))
    assert (item.schema_version, item.row_counts, item.amounts) == (1, {"USD": 5}, {"USD": total})
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert result.new_objects == 1
    assert result.manifest == manifest.key
    assert LandResult.from_dict(result.to_dict()) == result


def test_landing_twice_adds_nothing(s3: Settings, tmp_path: Path, window: Window) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files = delivery(tmp_path, window)
    land(window, client, bucket, files, run_id="r1")
    before = objects(s3_client(s3, "lander"), bucket, window)

    again = land(window, client, bucket, files, run_id="r2")

    assert objects(client, bucket, window) == before
    assert (again.new_objects, again.sequence) == (0, 1)


def test_a_corrected_delivery_adds_an_object_and_a_manifest(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    first = land(window, client, bucket, delivery(tmp_path, window), run_id="r1")

    again = land(window, client, bucket, delivery(tmp_path, window), run_id="r2")

    assert again.sequence == 2
    assert len(objects(client, bucket, window)) == 4
    assert find_latest(client, bucket, window).key == again.manifest
    assert named(client, bucket, first.manifest).sequence == 1


def test_eight_landings_at_once_leave_one_object_and_one_manifest(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files = delivery(tmp_path, window)

    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda n: land(window, client, bucket, files, run_id=f"r{n}"), range(8))
        )

    assert sum(result.new_objects for result in results) == 1
    keys = objects(client, bucket, window)
    assert len([key for key in keys if "/transactions/" in key]) == 1
    assert len([key for key in keys if "/manifests/" in key]) == 1


def test_a_pointer_lands_and_the_manifest_says_so(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    text = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

    result = land(window, client, bucket, delivery(tmp_path, window, text), run_id="r1")

    (item,) = find_latest(client, bucket, window).objects
    assert client.get_object(Bucket=bucket, Key=item.key)["Body"].read() == text
    assert (item.rows, item.amounts) == (None, {})
    assert "Git-LFS pointer" in result.problems[0]


def test_a_wrong_key_is_one_clear_sentence(s3: Settings, tmp_path: Path, window: Window) -> None:
    keys = {**s3.s3.secret_keys, "lander": SecretStr("wrong")}
    wrong = s3.model_copy(update={"s3": s3.s3.model_copy(update={"secret_keys": keys})})

    with pytest.raises(StoreRefusedError, match="refused access to bucket tollgate-raw") as error:
        land(
            window,
            s3_client(wrong, "lander"),
            s3.s3.raw_bucket,
            delivery(tmp_path, window),
            run_id="r1",
        )
    assert "wrong" not in str(error.value)


def test_a_key_that_may_not_write_raw_is_refused(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client = s3_client(s3, "processor")

    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        land(
            window,
            client,
            s3.s3.raw_bucket,
            delivery(tmp_path, window),
            run_id="r1",
        )


def test_a_store_that_is_down_is_one_clear_sentence(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    section = s3.s3.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    client = s3_client(s3.model_copy(update={"s3": section}), "lander")

    with pytest.raises(StoreUnreachableError, match="does not respond"):
        land(window, client, "tollgate-raw", delivery(tmp_path, window), run_id="r1")


def test_a_window_never_landed_has_no_manifest(s3: Settings, window: Window) -> None:
    assert find_latest(s3_client(s3, "lander"), s3.s3.raw_bucket, window) is None


def test_what_was_not_taken_is_in_the_manifest_and_the_result(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files = delivery(tmp_path, window)
    land(window, client, bucket, files, run_id="r1")

    result = land(window, client, bucket, files, run_id="r2", not_taken=("a.zip is an archive",))

    manifest = find_latest(client, bucket, window)
    assert (result.new_objects, result.sequence) == (0, 2)
    assert result.not_taken == manifest.not_taken == ("a.zip is an archive",)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert LandResult.from_dict(result.to_dict()) == result
    assert not result.closed


def test_part_files_land_under_the_date_of_their_folder(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    frame = pd.read_parquet(DAY).head(6)
    frame = frame.assign(trans_num=[uuid4().hex for _ in range(6)])
    folder = tmp_path / f"{window.span}.parquet"
    folder.mkdir()
    for number, rows in enumerate((frame[:2], frame[2:], frame[:0], frame[:0])):
        rows.astype(frame.dtypes).to_parquet(folder / f"part-{number}.parquet", index=False)
    parts = [Delivery(path, folder.name) for path in sorted(folder.iterdir())]

    result = land(window, client, bucket, parts, run_id="r1")

    manifest = find_latest(client, bucket, window)
    assert result.problems == ()
    assert [(one.name, one.rows) for one in manifest.objects] == [
        (f"{folder.name}/part-0.parquet", 2),
        (f"{folder.name}/part-1.parquet", 4),
    ]
    for one in manifest.objects:
        assert one.key.startswith(f"sparkov/transactions/{window.span}/")
        assert one.delivered_date == window.start


def test_a_closed_window_lands_without_a_row(
    s3: Settings, tmp_path: Path, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    empty = delivery(tmp_path, window, b"")
    assert land(window, client, bucket, empty, run_id="r1").problems

    result = land(window, client, bucket, [], run_id="r3", closed_days=(window.start,))
    manifest = find_latest(client, bucket, window)
    assert (result.problems, result.closed, manifest.closed_days) == ((), True, (window.start,))
    assert Manifest.from_json(manifest.to_json()) == manifest

    closed = replace(registry.source("sparkov"), closed_days=(window.span,))
    monkeypatch.setattr("sources.land.declared", lambda name: closed)
    for files in (empty, []):
        result = land(window, client, bucket, files, run_id="r2")
        assert (result.problems, result.closed, result.objects) == ((), True, len(files))
        assert LandResult.from_dict(result.to_dict()) == result


def test_labels_land_beside_the_payments_and_are_no_rows_of_the_window(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    window = Window.of("simulator", window.span)
    golden = Path(__file__).parents[1] / "spark" / "golden" / "simulator" / "delivery.jsonl"
    payments = tmp_path / f"{window.span}.jsonl"
    payments.write_text(golden.read_text().replace("2c829abe", uuid4().hex[:8]))
    labels = tmp_path / "labels" / payments.name
    labels.parent.mkdir()
    labels.write_text(f'{{"transaction_id": "{uuid4().hex}", "is_fraud": "1"}}\n')

    result = land(
        window, client, bucket, [Delivery(payments)], labels=[Delivery(labels)], run_id="r1"
    )

    manifest = find_latest(client, bucket, window)
    (item,) = manifest.labels
    assert item.key == f"simulator/labels/{window.span}/{item.sha256[:16]}.jsonl"
    assert client.get_object(Bucket=bucket, Key=item.key)["Body"].read() == labels.read_bytes()
    assert (manifest.rows, item.rows, result.new_objects) == (6, 1, 2)
    assert result.problems == (f"{labels.name}: missing known_at, label_source",)
    assert Manifest.from_json(manifest.to_json()) == manifest


def feedback_on(folder: Path, event: str) -> list[Delivery]:
    """Return a file of feedback on a payment."""
    label = {"transaction_id": event, "is_fraud": 1, "label_source": "analyst"}
    path = folder / "2026-01-01.jsonl"
    path.write_text(json.dumps(label | {"known_at": "2026-01-09T12:00:00.000001Z"}) + "\n")
    return [Delivery(path)]


def test_feedback_lands_beside_what_the_window_has_and_stays(
    s3: Settings, tmp_path: Path, window: Window
) -> None:
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    files, feedback = delivery(tmp_path, window), feedback_on(tmp_path, uuid4().hex)
    assert land_feedback(window, client, bucket, feedback, run_id="r0") is None
    land(window, client, bucket, files, run_id="r1")
    before = find_latest(client, bucket, window)

    result = land_feedback(window, client, bucket, feedback, run_id="r2")

    manifest = find_latest(client, bucket, window)
    (item,) = manifest.labels
    assert item.key == f"sparkov/feedback/2026-01-01/{item.sha256[:16]}.jsonl"
    assert (item.rows, item.problem, item.is_feedback) == (1, None, True)
    assert replace(manifest, labels=(), sequence=1, landed_at=before.landed_at) == before
    assert result is not None
    assert (result.sequence, result.new_objects, result.objects) == (2, 1, 2)
    assert result.balances[0].rows_out == 5

    assert land_feedback(window, client, bucket, feedback, run_id="r3") is None
    assert land(window, client, bucket, files, run_id="r4").sequence == 2
    more = land_feedback(window, client, bucket, feedback_on(tmp_path, uuid4().hex), run_id="r5")
    assert more is not None
    assert len(find_latest(client, bucket, window).labels) == 2

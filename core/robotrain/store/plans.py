"""Plans on disk: as a folder of files with a manifest, and beside the record of each submitted run.

`robotrain-plan.json` names the files with their digests, the job, the platform's settings and where each value came
from; the payload is kept once: as a file of the plan, or as `robotrain-payload.zip`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import Scalar, collect_fields

from robotrain import __version__
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model import code_commit_tags
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.workload_profile import Produces
from robotrain.store import files, records
from robotrain.store.stored_job import DIFFERENCE_FILE, SCHEMA, get_plan_folder, read_manifest
from robotrain.store.written_files import PLAN_FILE as MANIFEST_FILE

if TYPE_CHECKING:
    from pydantic import TypeAdapter

make_problem = Messages(__file__)


VALUE_KEYS = {"name", "value", "origin", "overrode"}
"""What each value of a plan has; some have more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanManifest:
    """The content of `robotrain-plan.json`."""

    schema: int
    robotrain: str
    run: str
    platform: str
    job: Job
    settings: dict[str, Scalar]
    container_plugins: dict[str, str]
    payload: str
    payload_digest: str
    spec: str
    shown: tuple[str, ...]
    files: dict[str, str]
    values: tuple[dict[str, Any], ...]
    """Those of the job, as `explain` shows them."""
    makes: Produces = "checkpoints"
    steps: tuple[str, ...] = ()
    native: bool = False


PAYLOAD_FILE = "robotrain-payload.zip"
MAX_PLAN_FILE = 1 << 30
"""Bytes: payloads may have a policy's code and data."""
MAX_INDENTED_VALUES = 2000
"""The most values of a plan whose manifest is indented for readers."""


def write_plan_folder(rendered_plan: RenderedPlan, folder: Path, shared_payload: Path | None = None) -> None:
    """Write a plan to `folder`, its manifest last. Raise OSError.

    :param shared_payload: a file that has the payload, to link instead of a copy.
    """
    plan, payload = rendered_plan.plan, rendered_plan.payload.archive
    mode = files.PRIVATE_FILE if folder.is_relative_to(files.get_state_folder()) else 0o666
    payload_path = next((path for path, file_bytes in plan.files.items() if file_bytes == payload), PAYLOAD_FILE)
    for path, file_bytes in {**plan.files, payload_path: payload}.items():
        _write_file(folder / path, file_bytes, shared_payload if file_bytes == payload else None, mode)
    body = {
        "schema": SCHEMA,
        "robotrain": __version__,
        "run": plan.run,
        "platform": plan.platform,
        "job": {
            **collect_fields(plan.job),
            "profile": dataclasses.asdict(plan.job.profile),
            "sources": [collect_fields(source) for source in plan.job.sources],
        },
        "settings": dict(rendered_plan.settings),
        "container_plugins": dict(rendered_plan.container_plugins),
        "makes": rendered_plan.produces,
        **({"steps": list(rendered_plan.steps)} if rendered_plan.steps else {}),
        **({"native": True} if rendered_plan.native else {}),
        "payload": payload_path,
        "payload_digest": rendered_plan.payload.digest,
        "spec": plan.spec,
        "shown": list(plan.shown),
        "files": {path: hashlib.sha256(file_bytes).hexdigest() for path, file_bytes in plan.files.items()},
        "values": [dict(value_row) for value_row in rendered_plan.values],
    }
    indent = 1 if len(rendered_plan.values) <= MAX_INDENTED_VALUES else None  # many times as fast without
    files.write_atomically(folder / MANIFEST_FILE, (json.dumps(body, indent=indent) + "\n").encode(), mode)


@functools.cache
def _get_manifest_adapter() -> "TypeAdapter[PlanManifest]":
    """Return the adapter, made once: `pipeline` and `status` read many plans."""
    from pydantic import TypeAdapter

    return TypeAdapter(PlanManifest)


def read_plan_folder(folder: Path) -> RenderedPlan:
    """Return the plan that `write_plan_folder` wrote. Raise Rejected if the folder has none, or not all of it."""
    try:
        manifest = _get_manifest_adapter().validate_python(read_manifest(folder))
        if os.sep in manifest.run or manifest.run != manifest.job.run_name(parse_attempt(manifest.run)):
            raise ValueError("it is not the name of its job")
        if not all(value_row.keys() >= VALUE_KEYS for value_row in manifest.values):
            raise ValueError("a value is not complete")
        bytes_by_path = {
            path: files.read_limited_file(_resolve_path(folder, path), MAX_PLAN_FILE) for path in manifest.files
        }
        payload = Payload(files.read_limited_file(_resolve_path(folder, manifest.payload), MAX_PLAN_FILE))
        plan = Plan(
            platform=manifest.platform,
            run=manifest.run,
            job=manifest.job,
            spec=manifest.spec,
            files=bytes_by_path,
            shown=manifest.shown,
        )
    except OSError as error:
        raise Rejected([_make_unreadable_problem(folder, f"{error.filename or folder}: {error.strerror}")]) from None
    except (ValueError, KeyError, TypeError):  # its text may repeat what was read
        reason = f"{MANIFEST_FILE} is damaged, or another robotrain wrote it"
        raise Rejected([_make_unreadable_problem(folder, reason)]) from None
    changed_paths = [
        path
        for path, file_bytes in bytes_by_path.items()
        if hashlib.sha256(file_bytes).hexdigest() != manifest.files[path]
    ]
    if manifest.payload not in bytes_by_path and payload.digest != manifest.payload_digest:
        changed_paths.append(manifest.payload)
    return RenderedPlan(
        plan=plan,
        settings=manifest.settings,
        container_plugins=manifest.container_plugins,
        payload=payload,
        values=manifest.values,
        produces=manifest.makes,
        steps=manifest.steps,
        native=manifest.native,
        changed=tuple(changed_paths),
    )


def _write_file(target: Path, content: bytes, shared: Path | None, mode: int) -> None:
    if mode == files.PRIVATE_FILE:
        files.make_private_folder(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if shared is not None:
        with contextlib.suppress(OSError):  # another disk, or one without links
            os.link(shared, target)
            return
    files.write_new_file(target, content, mode)


def _resolve_path(folder: Path, path: str) -> Path:
    """Return the path of a file in the folder. Raise ValueError if it lies outside, by its name or a link."""
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"it names the file {path}, which is outside the folder")
    return folder / path


def _make_unreadable_problem(folder: Path, reason: str) -> Problem:
    return make_problem("plan-unreadable", given=str(folder), why=reason)


def store_plan(rendered_plan: RenderedPlan) -> None:
    """Store a plan before it is submitted, unless it is stored already. Raise Rejected."""
    folder = get_plan_folder(rendered_plan.plan.run)
    stored_plan = find_stored_plan(rendered_plan.plan.run)
    if stored_plan and not stored_plan.changed and stored_plan.plan.digest == rendered_plan.plan.digest:
        return
    with records.report_write_errors():
        if folder.exists():  # the remains of an interrupted submit
            shutil.rmtree(folder)
        write_plan_folder(rendered_plan, folder, shared_payload=_store_payload(rendered_plan))
        from robotrain.store import code_commit  # costs start-up

        for source in rendered_plan.plan.job.sources:
            if code_commit_tags.is_dirty(source):
                code_commit.store_difference(source, folder / DIFFERENCE_FILE)


def read_stored_plan(run: str) -> RenderedPlan:
    """Return the plan that a run was submitted with. Raise Rejected if it is missing or damaged."""
    return read_plan_folder(get_plan_folder(run))


def find_stored_plan(run: str) -> RenderedPlan | None:
    """Return the plan that a run was submitted with; None if it is missing or damaged."""
    if not (get_plan_folder(run) / MANIFEST_FILE).exists():  # as at each first submit: to read one costs start-up
        return None
    try:
        return read_stored_plan(run)
    except Rejected:
        return None


def _store_payload(rendered_plan: RenderedPlan) -> Path | None:
    """Return the shared copy of a payload, to which all plans link; None if it cannot be written."""
    path = files.get_state_folder() / "payloads" / f"{rendered_plan.payload.digest}.zip"
    archive_bytes = rendered_plan.payload.archive
    with contextlib.suppress(OSError):
        files.make_private_folder(path.parent)
        files.close_to_others(path.parent)
        if not path.exists() or path.read_bytes() != archive_bytes:  # damaged by a power failure, for example
            files.write_private_file(path, archive_bytes)
            path.chmod(0o400)  # the plans of many runs link to it
        return path
    return None

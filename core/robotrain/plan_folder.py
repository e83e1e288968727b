"""A plan as a folder: every file that is sent, and what the plan was made from, so that it can be made again.

`robotrain-plan.json` names the files with their digests, the job, the platform's settings and where each value came
from; the payload is kept once: as a file of the plan, or as `robotrain-payload.zip`.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.document import Scalar

from robotrain import __version__, durable
from robotrain.job import attempt_of
from robotrain.payload import Payload
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.workload import Makes

if TYPE_CHECKING:
    from robotrain.plan_manifest import Manifest

MANIFEST = "robotrain-plan.json"
PAYLOAD = "robotrain-payload.zip"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A plan with what it was made from. values: each value of the job with its origin, for people. makes: what its
    workload says that a run of it leaves.

    changed: files that are not what was rendered any more, when it was read from a folder.
    """

    plan: Plan
    settings: Mapping[str, Scalar]
    halves: Mapping[str, str]
    payload: Payload
    values: tuple[Mapping[str, Any], ...] = ()
    makes: Makes = "checkpoints"
    changed: tuple[str, ...] = field(default=(), compare=False)


def write(rendered: Rendered, folder: Path, shared: Path | None = None) -> None:
    """The plan below `folder`, the manifest last. shared: a file that holds the payload already. Raises OSError."""
    plan, payload = rendered.plan, rendered.payload.archive
    packed = next((path for path, content in plan.files.items() if content == payload), PAYLOAD)
    for path, content in {**plan.files, packed: payload}.items():
        _put(folder / path, content, shared if content == payload else None)
    body = {
        "schema": SCHEMA,
        "robotrain": __version__,
        "run": plan.run,
        "platform": plan.platform,
        "job": dataclasses.asdict(plan.job),
        "settings": dict(rendered.settings),
        "halves": dict(rendered.halves),
        "makes": rendered.makes,
        "payload": packed,
        "payload_digest": rendered.payload.digest,
        "spec": plan.spec,
        "shown": list(plan.shown),
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in plan.files.items()},
        "values": [dict(value) for value in rendered.values],
    }
    durable.write(folder / MANIFEST, (json.dumps(body, indent=1) + "\n").encode())


def read(folder: Path) -> Rendered:
    """What `write` put there. Raises Rejected when it is no plan's folder, or not whole."""
    from pydantic import TypeAdapter, ValidationError

    from robotrain.plan_manifest import Manifest

    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"this robotrain reads schema {SCHEMA}, the file has {data['schema']!r}")
        found = TypeAdapter(Manifest).validate_python(data)
        files = {path: _inside(folder, path).read_bytes() for path in found.files}
        payload = Payload(_inside(folder, found.payload).read_bytes())
    except OSError as error:
        raise Rejected([_unreadable(folder, f"{error.filename or folder}: {error.strerror}")]) from None
    except ValidationError as error:  # its text repeats what was read
        place = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise Rejected([_unreadable(folder, f"{MANIFEST} is damaged at {place or 'its top'}")]) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected([_unreadable(folder, f"{MANIFEST} is damaged: {error}")]) from None
    if wrong := _wrong(found):
        raise Rejected([_unreadable(folder, f"{MANIFEST} is damaged: {wrong}")])
    changed = [path for path, content in files.items() if hashlib.sha256(content).hexdigest() != found.files[path]]
    if found.payload not in files and payload.digest != found.payload_digest:
        changed.append(found.payload)
    return Rendered(
        plan=Plan(
            platform=found.platform, run=found.run, job=found.job, spec=found.spec, files=files, shown=found.shown
        ),
        settings=found.settings,
        halves=found.halves,
        payload=payload,
        values=tuple(dataclasses.asdict(row) for row in found.values),
        makes=found.makes,
        changed=tuple(changed),
    )


def _put(target: Path, content: bytes, shared: Path | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if shared is not None:
        with contextlib.suppress(OSError):  # another disk, or one without links
            os.link(shared, target)
            return
    durable.put(target, content)


def _inside(folder: Path, path: str) -> Path:
    """A file of the folder. Raises ValueError for one that lies outside, by its name or by a link."""
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"it names the file {path}, which lies outside")
    return folder / path


def _wrong(found: "Manifest") -> str:
    """What types cannot say."""
    if os.sep in found.run or found.run != found.job.run_name(attempt_of(found.run)):
        return f"{found.run} is not the name of its job"
    missing = [path for path in (found.spec, *found.shown) if path not in found.files]
    return f"it does not hold the file {missing[0]}" if missing else ""


def _unreadable(folder: Path, why: str) -> Problem:
    return Problem(
        code="plan-unreadable",
        stage=Stage.USAGE,
        title="this is no folder of a plan, or not all of it",
        given=str(folder),
        why=f"{why}.",
        instead=(Instead("robotrain render … --to FOLDER", "writes one"),),
    )

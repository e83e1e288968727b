"""Preflight checks on this machine: the runtime's own and the run's folder."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.health import convert_finding
from robotrain.model.plan import Plan
from robotrain_runtime import preflight as runtime_preflight
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.machine.disk_cache import GIB
from robotrain_sources.mlflow import registry

from robotrain_local import spec, submit
from robotrain_local.render import DOCUMENT_FILE, get_tracking_uri
from robotrain_local.settings import LocalSettings

make_problem = Messages(__file__)

MIN_FREE_GIB = 1.0


def run_preflight(plan: Plan) -> Iterator[Problem]:
    """Find problems that would make the plan fail here. The runtime repeats its checks when the run starts."""
    try:
        job = document.parse_document(plan.files[DOCUMENT_FILE].decode())
        folder = Path(spec.parse_spec(plan.files[plan.spec]).folder)
    except submit.PLAN_ERRORS as error:
        yield submit.make_damaged_plan_problem(error)
        return
    yield from check_secret_files(job.placement.secrets)
    placement = dataclasses.replace(job.placement, mounts=())  # the run's copy of its code is made when it is submitted
    job = dataclasses.replace(job, placement=placement)
    yield from map(convert_finding, runtime_preflight.run_preflight(job, partial(print, file=sys.stderr, flush=True)))
    if submit.is_interrupted_submit(plan, folder):
        return
    parent, given = next(parent for parent in folder.parents if parent.exists()), str(folder.parent)
    if folder.exists():
        yield make_problem("run-folder-taken", given=given, folder=folder)
    elif not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = f"{parent} is {'not writable' if parent.is_dir() else 'not a folder'}."
        yield make_problem("run-folder-refused.not-writable", given=given, why=why)
    elif (free := shutil.disk_usage(parent).free / GIB) < MIN_FREE_GIB:
        yield make_problem("run-folder-full", given=given, free=free)


def pin_source(source: JobSource, settings: LocalSettings) -> str:
    """Return the latest version of a model in the registry that runs are tracked to. Raise SourceError."""
    return registry.find_latest_version(source, get_tracking_uri(settings))

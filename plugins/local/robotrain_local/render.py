"""Render a job to the plan of a process, and check its settings. Pure, except for where robotrain's folders are."""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from robotrain.errors import Problem, Stage, Suggestion, make_problem, suggest_leaving_out
from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload
from robotrain.store import files
from robotrain_runtime.contract.document import JobSource, Mount, Placement, format_document
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.process.stop import GRACE_VARIABLE

from robotrain_local import spec
from robotrain_local.settings import NO_TRACKING, SQLITE_SCHEME, LocalSettings

DOCUMENT_FILE = "job.json"
TRAINER_GRACE_SECONDS = 30


def render_plan(
    job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """Return the plan: the process, the job document and the payload."""
    folder = Path(settings.runs_dir or files.get_state_folder() / "local") / run
    credentials = {  # paths only
        "blob_url": settings.blob_credential_file,
        "huggingface": settings.hub_token_file,
        "git": settings.git_token_file,
    }
    placement = Placement(
        work=str(folder),
        cache=str(files.get_cache_folder()),
        tracking_uri=get_tracking_uri(settings),
        environment=settings.environment,
        torch_backend=settings.torch_backend,
        credentials={kind: file for kind, file in credentials.items() if file},
        secrets={name: os.path.expanduser(file) for name, file in load_pairs(settings.secrets).items()},
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
        ways={"git": "--git-token-file FILE"} if any(source.kind == "git" for source in job.sources) else {},
        mounts=tuple(_make_code_mount(source, folder) for source in spec.list_code_folders(job)),
    )
    process = spec.ProcessSpec(
        run=run,
        folder=str(folder),
        payload=payload.digest,
        arguments=("run", DOCUMENT_FILE),
        environment={
            "PYTHONPATH": str(folder / spec.PAYLOAD_FOLDER),
            "PYTHONUNBUFFERED": "1",
            GRACE_VARIABLE: str(TRAINER_GRACE_SECONDS),
        },
    )
    document = plan.make_job_document(
        job, run=run, platform="local", container_plugins=container_plugins, placement=placement
    )
    return plan.Plan(
        platform="local",
        run=run,
        job=job,
        spec=spec.SPEC_FILE,
        files={
            spec.SPEC_FILE: spec.dump_spec(process),
            DOCUMENT_FILE: format_document(document).encode(),
            spec.PAYLOAD_FILE: payload.archive,
        },
        shown=(spec.SPEC_FILE, DOCUMENT_FILE),
    )


def _make_code_mount(source: JobSource, folder: Path) -> Mount:
    """Return where a run has its own copy of a folder of code: changes after the submission do not count."""
    place = str(folder / spec.CODE_FOLDER)
    return Mount(role=source.role, uri=source.uri, folder=place, origin=f"the run's copy of {source.uri}")


def get_tracking_uri(settings: LocalSettings) -> str:
    """Return the tracking URI of the job document, or "" without tracking."""
    if settings.tracking_uri == NO_TRACKING:
        return ""
    return settings.tracking_uri or f"{SQLITE_SCHEME}{files.get_state_folder() / 'mlflow.db'}"


def _parse_secret_file(name: str, file: str) -> None:
    """Raise ValueError if a text is not the absolute path of a file."""
    if not file.startswith(("/", "~/")) or "\0" in file:
        raise ValueError("It is the absolute path of a file that holds the secret.")


TRACKING_FLAG = "--tracking-uri"
_make_problem = functools.partial(make_problem, stage=Stage.PARSE)


def check_settings(job: Job, settings: LocalSettings) -> Iterator[Problem]:
    """Check the tracking URI, the PyTorch build and the secrets."""
    yield from check_tracking_uri(settings.tracking_uri or "")
    yield from check_torch_backend(settings)
    if settings.secrets:
        from robotrain.cluster.secrets import check_secrets  # costs start-up

        yield from check_secrets(settings.secrets, _parse_secret_file, "/PATH")


def check_tracking_uri(address: str) -> Iterator[Problem]:
    """Check that the URI is valid and carries no user, query or fragment. Secrets in it are redacted."""
    try:
        parts = urlsplit(address)
    except ValueError:
        title = "the tracking URI is not a valid URL"
        yield _make_problem("tracking-address-malformed", title, TRACKING_FLAG, address, "MLflow cannot open it.")
        return
    if address and address != NO_TRACKING and not parts.scheme:
        why = "MLflow no longer stores runs in plain folders."
        sqlite = Suggestion(f"--tracking-uri sqlite:///{address}/mlflow.db")
        title = "the tracking URI is a folder"
        yield _make_problem("tracking-address-a-folder", title, TRACKING_FLAG, address, why, sqlite)
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        title = "the tracking URI must not contain a user, a query or a fragment"
        why = "The plan and the run's record would contain it."
        safe = Suggestion(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set")
        yield _make_problem("secret-in-address", title, TRACKING_FLAG, address, why, safe)


TORCH_BACKEND_FLAG = "--torch-backend"
TORCH_BACKEND_PATTERN = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def check_torch_backend(settings: LocalSettings) -> Iterator[Problem]:
    """Check that the build exists and that an environment will be built."""
    if not (backend := settings.torch_backend):
        return
    if not re.fullmatch(TORCH_BACKEND_PATTERN, backend):
        yield _make_problem(
            "torch-backend-unknown",
            f"the value of {TORCH_BACKEND_FLAG} is not a build of PyTorch",
            TORCH_BACKEND_FLAG,
            backend,
            "The builds are auto, cpu, xpu, and CUDA or ROCm with a version, such as cu126 or rocm6.4.",
            Suggestion(f"{TORCH_BACKEND_FLAG} auto", "fits this machine's driver"),
            Suggestion(f"{TORCH_BACKEND_FLAG} cpu", "no GPU"),
        )
    elif settings.environment:
        yield _make_problem(
            "torch-backend-unused",
            f"{TORCH_BACKEND_FLAG} has no effect with --environment",
            TORCH_BACKEND_FLAG,
            backend,
            f"The run uses the PyTorch of {settings.environment}; nothing is built.",
            suggest_leaving_out(TORCH_BACKEND_FLAG),
            suggest_leaving_out("--environment", remark="builds the locked environment with this PyTorch"),
        )

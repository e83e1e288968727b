"""Rules of the settings that platforms with run folders have: tracking URI, build of PyTorch, files of secrets."""

import functools
import re
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from robotrain.errors import Problem, Stage, Suggestion, make_problem, suggest_leaving_out
from robotrain.model.job import Job
from robotrain.run_folder.settings import NO_TRACKING

TRACKING_FLAG = "--tracking-uri"
_make_problem = functools.partial(make_problem, stage=Stage.PARSE)


def check_tracking_uri(address: str) -> Iterator[Problem]:
    """Check that the URI is valid and carries no user, query or fragment. Secrets in it are redacted."""
    try:
        parts = urlsplit(address)
    except ValueError:
        title = "the tracking URI is not a valid URL"
        yield _make_problem("value-invalid", title, TRACKING_FLAG, address, "MLflow cannot open it.")
        return
    if address and address not in (NO_TRACKING, "databricks") and not parts.scheme:
        why = "MLflow no longer stores runs in plain folders."
        sqlite = Suggestion(f"--tracking-uri sqlite:///{address}/mlflow.db")
        title = "the tracking URI is a folder"
        yield _make_problem("value-invalid", title, TRACKING_FLAG, address, why, sqlite)
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        title = "the tracking URI must not contain a user, a query or a fragment"
        why = "The plan and the run's record would contain it."
        safe = Suggestion(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set")
        yield _make_problem("secret-in-job", title, TRACKING_FLAG, address, why, safe)


TORCH_BACKEND_FLAG = "--torch-backend"
TORCH_BACKEND_PATTERN = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def check_torch_backend(backend: str | None, environment: str | None) -> Iterator[Problem]:
    """Check that the build exists and that an environment will be built, not an existing one used."""
    if not backend:
        return
    if not re.fullmatch(TORCH_BACKEND_PATTERN, backend):
        yield _make_problem(
            "value-invalid",
            f"the value of {TORCH_BACKEND_FLAG} is not a build of PyTorch",
            TORCH_BACKEND_FLAG,
            backend,
            "The builds are auto, cpu, xpu, and CUDA or ROCm with a version, such as cu126 or rocm6.4.",
            Suggestion(f"{TORCH_BACKEND_FLAG} auto", "fits the machine's driver"),
            Suggestion(f"{TORCH_BACKEND_FLAG} cpu", "no GPU"),
        )
    elif environment:
        yield _make_problem(
            "option-without-effect",
            f"{TORCH_BACKEND_FLAG} has no effect with --environment",
            TORCH_BACKEND_FLAG,
            backend,
            f"The run uses the PyTorch of {environment}; nothing is built.",
            suggest_leaving_out(TORCH_BACKEND_FLAG),
            suggest_leaving_out("--environment", remark="builds the locked environment with this PyTorch"),
        )


def check_secrets(secrets: str | None, of_platform: Collection[str] = ()) -> Iterator[Problem]:
    """Check that each value of --secret is the absolute path of a file. `of_platform`: as in `cluster.secrets`."""
    if secrets:
        from robotrain.cluster import secrets as secret_rules  # costs start-up

        yield from secret_rules.check_secrets(secrets, _parse_secret_file, "/PATH", of_platform)


def _parse_secret_file(name: str, file: str) -> None:
    """Raise ValueError if a text is not the absolute path of a file."""
    if not file.startswith(("/", "~/")) or "\0" in file:
        raise ValueError("It is the absolute path of a file that holds the secret.")


def check_requested_gpus(job: Job, requested: int | None, engine: str, flag: str = "--gpus") -> Iterator[Problem]:
    """Warn of fewer GPUs than the job trains on: there are clusters whose nodes have GPUs that nobody asks for.

    :param requested: None for as many as the job uses.
    """
    needed = job.used_gpus
    if requested is None or requested >= needed:
        return
    title = f"the job uses {needed} GPU{'s' if needed > 1 else ''}, but asks {engine} for {requested}"
    why = "It fails if it needs them, unless the node gives all its GPUs to every job."
    fewer = f"--num-gpus {requested}" if requested else "--device cpu" if "device" in dict(job.parameters) else ""
    ways = (f"{flag} {needed}", fewer)
    yield make_problem("gpus-too-few", title, flag, str(requested), why, *ways, stage=Stage.CHECK, severity="warning")

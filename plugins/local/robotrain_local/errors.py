"""Problems of the local platform: invalid settings and unreadable plans."""

import re
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact
from robotrain_runtime.contract.document import DocumentError

from robotrain_local.settings import LocalSettings
from robotrain_local.spec import ProcessSpecError


def check_tracking_uri(address: str) -> Iterator[Problem]:
    """Check that the URI is valid and carries no user, query or fragment. Secrets in it are redacted."""
    try:
        parts = urlsplit(address)
    except ValueError:
        yield _make_tracking_uri_problem(
            "tracking-address-malformed", "the tracking URI is not a valid URL", address, "MLflow cannot open it."
        )
        return
    if address and not parts.scheme:
        why = "MLflow no longer stores runs in plain folders."
        sqlite = Suggestion(f"--tracking-uri sqlite:///{address}/mlflow.db")
        yield _make_tracking_uri_problem(
            "tracking-address-a-folder", "the tracking URI is a folder", address, why, sqlite
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        title = "the tracking URI must not contain a user, a query or a fragment"
        why = "The plan and the run's record would contain it."
        safe = Suggestion(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set")
        yield _make_tracking_uri_problem("secret-in-address", title, address, why, safe)


def _make_tracking_uri_problem(code: str, title: str, address: str, why: str, *suggestions: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=title,
        where="--tracking-uri",
        given=redact(address),
        why=why,
        suggestions=suggestions,
    )


TORCH_BACKEND_FLAG = "--torch-backend"
TORCH_BACKEND_PATTERN = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def check_torch_backend(settings: LocalSettings) -> Iterator[Problem]:
    """Check that the build exists and that an environment will be built."""
    if not (backend := settings.torch_backend):
        return
    if not re.fullmatch(TORCH_BACKEND_PATTERN, backend):
        yield _make_torch_backend_problem(
            "torch-backend-unknown",
            f"the value of {TORCH_BACKEND_FLAG} is not a build of PyTorch",
            backend,
            "The builds are auto, cpu, xpu, and CUDA or ROCm with a version, such as cu126 or rocm6.4.",
            Suggestion(f"{TORCH_BACKEND_FLAG} auto", "fits this machine's driver"),
            Suggestion(f"{TORCH_BACKEND_FLAG} cpu", "no GPU"),
        )
    elif settings.environment:
        yield _make_torch_backend_problem(
            "torch-backend-unused",
            f"{TORCH_BACKEND_FLAG} has no effect with --environment",
            backend,
            f"The run uses the PyTorch of {settings.environment}; nothing is built.",
            Suggestion(f"leave {TORCH_BACKEND_FLAG} out"),
            Suggestion("leave --environment out", "builds the locked environment with this PyTorch"),
        )


def _make_torch_backend_problem(code: str, title: str, given: str, why: str, *suggestions: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=title,
        where=TORCH_BACKEND_FLAG,
        given=redact(given),
        why=why,
        suggestions=suggestions,
    )


PLAN_ERRORS = (ProcessSpecError, DocumentError, zipfile.BadZipFile, UnicodeDecodeError, KeyError)
"""Errors of reading a damaged plan."""


def make_damaged_plan_problem(error: Exception) -> Problem:
    """Return the problem of a plan that raised one of PLAN_ERRORS."""
    why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return Problem(
        code="plan-damaged",
        stage=Stage.PARSE,
        title="the plan cannot be read",
        why=f"{why}.",
        suggestions=(Suggestion("robotrain render … --to DIR", "writes the plan again"),),
    )


def make_damaged_plan_rejection(error: Exception) -> Rejected:
    """Return the problem as an exception."""
    return Rejected([make_damaged_plan_problem(error)])

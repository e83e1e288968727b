"""Problems of the local platform: settings that cannot be used, plans that cannot be read."""

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
    """No address at all, or one with a user, a query or a fragment; nothing of these is repeated."""
    try:
        parts = urlsplit(address)
    except ValueError:
        yield _make_tracking_uri_problem(
            "tracking-address-malformed", "the tracking address is no URL", address, "MLflow could not open it."
        )
        return
    if address and not parts.scheme:
        why = "MLflow keeps no runs in bare folders any more."
        way = Suggestion(f"--tracking-uri sqlite:///{address}/mlflow.db")
        yield _make_tracking_uri_problem(
            "tracking-address-a-folder", "the tracking address is a folder", address, why, way
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        title = "a tracking address must not carry a user, a query or a fragment"
        why = "It would be written into the plan and the record of the run."
        way = Suggestion(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set")
        yield _make_tracking_uri_problem("secret-in-address", title, address, why, way)


def _make_tracking_uri_problem(code: str, title: str, address: str, why: str, *instead: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=title,
        where="--tracking-uri",
        given=redact(address),
        why=why,
        suggestions=instead,
    )


TORCH_BACKEND_FLAG = "--torch-backend"
TORCH_BACKEND_PATTERN = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def check_torch_backend(settings: LocalSettings) -> Iterator[Problem]:
    """No build at all, or one for an environment that is not built."""
    if not (said := settings.torch_backend):
        return
    if not re.fullmatch(TORCH_BACKEND_PATTERN, said):
        yield _make_torch_backend_problem(
            "torch-backend-unknown",
            f"{TORCH_BACKEND_FLAG} takes a build of PyTorch: auto, cpu, cu126, rocm6.4, xpu",
            said,
            "The number is the version of CUDA (12.6) or ROCm (6.4).",
            Suggestion(f"{TORCH_BACKEND_FLAG} auto", "what suits this machine's driver"),
            Suggestion(f"{TORCH_BACKEND_FLAG} cpu", "no GPU"),
        )
    elif settings.environment:
        yield _make_torch_backend_problem(
            "torch-backend-unused",
            f"{TORCH_BACKEND_FLAG} says nothing about an environment that is given",
            said,
            f"The run uses what {settings.environment} holds; nothing is built.",
            Suggestion(f"leave {TORCH_BACKEND_FLAG} out"),
            Suggestion("leave --environment out", "the locked environment is built, with that PyTorch"),
        )


def _make_torch_backend_problem(code: str, title: str, given: str, why: str, *instead: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=title,
        where=TORCH_BACKEND_FLAG,
        given=redact(given),
        why=why,
        suggestions=instead,
    )


PLAN_ERRORS = (ProcessSpecError, DocumentError, zipfile.BadZipFile, UnicodeDecodeError, KeyError)
"""What reading such a plan raises."""


def make_damaged_plan_problem(error: Exception) -> Problem:
    """What is wrong with it."""
    why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return Problem(
        code="plan-damaged",
        stage=Stage.PARSE,
        title="the plan cannot be read",
        why=f"{why}.",
        suggestions=(Suggestion("robotrain render … --to DIR", "makes it anew"),),
    )


def make_damaged_plan_rejection(error: Exception) -> Rejected:
    """The same, to raise."""
    return Rejected([make_damaged_plan_problem(error)])

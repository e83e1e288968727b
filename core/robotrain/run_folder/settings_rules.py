"""Rules of the settings that platforms with run folders have: tracking URI, build of PyTorch, files of secrets."""

import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.run_folder.settings import NO_TRACKING

make_problem = Messages(__file__)


def check_settings(job: Job, settings: Any, engine: str, own_variables: Collection[str]) -> Iterator[Problem]:
    """Check the settings that schedulers share against the job. `own_variables`: as in `cluster.secrets`."""
    yield from check_tracking_uri(settings.tracking_uri or "")
    yield from check_torch_backend(settings.torch_backend, settings.environment)
    yield from check_secrets(settings.secrets, own_variables)
    yield from check_requested_gpus(job, settings.gpus, engine)


def check_tracking_uri(address: str) -> Iterator[Problem]:
    """Check that the URI is valid and carries no user, query or fragment. Secrets in it are redacted."""
    try:
        parts = urlsplit(address)
    except ValueError:
        yield make_problem("value-invalid.tracking-uri", given=address)
        return
    if address and address not in (NO_TRACKING, "databricks") and not parts.scheme:
        yield make_problem("value-invalid.tracking-folder", given=address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare_uri = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        yield make_problem("secret-in-job", given=address, bare=bare_uri)


TORCH_BACKEND_FLAG = "--torch-backend"
TORCH_BACKEND_PATTERN = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def check_torch_backend(backend: str | None, environment: str | None) -> Iterator[Problem]:
    """Check that the build exists and that an environment will be built, not an existing one used."""
    if not backend:
        return
    if not re.fullmatch(TORCH_BACKEND_PATTERN, backend):
        yield make_problem("value-invalid.torch-backend", given=backend)
    elif environment:
        ways = (
            suggest_leaving_out(TORCH_BACKEND_FLAG),
            suggest_leaving_out("--environment", remark="builds the locked environment with this PyTorch"),
        )
        yield make_problem("option-without-effect", *ways, given=backend, environment=environment)


def check_secrets(secrets: str | None, of_platform: Collection[str] = ()) -> Iterator[Problem]:
    """Check that each value of --secret is the absolute path of a file. `of_platform`: as in `cluster.secrets`."""
    if secrets:
        from robotrain.cluster import secrets as secret_rules  # costs start-up

        yield from secret_rules.check_secrets(secrets, _parse_secret_file, "/PATH", of_platform)


def _parse_secret_file(name: str, file: str) -> None:
    """Raise ValueError if a text is not the absolute path of a file."""
    if not file.startswith(("/", "~/")) or "\0" in file:
        raise ValueError("It is the absolute path of a file that holds the secret.")


def check_requested_gpus(job: Job, requested_gpus: int | None, engine: str) -> Iterator[Problem]:
    """Warn of fewer GPUs than the job trains on: there are clusters whose nodes have GPUs that nobody asks for.

    :param requested_gpus: None for as many as the job uses.
    """
    needed_gpus = job.used_gpus
    if requested_gpus is None or requested_gpus >= needed_gpus:
        return
    fewer_gpus_way = (
        f"--num-gpus {requested_gpus}" if requested_gpus else "--device cpu" if "device" in dict(job.parameters) else ""
    )
    yield make_problem(
        "gpus-too-few",
        f"--gpus {needed_gpus}",
        fewer_gpus_way,
        given=str(requested_gpus),
        needed=needed_gpus,
        engine=engine,
        requested=requested_gpus,
    )

"""The command job: its keys, environment variables, start program and YAML text.

The YAML is ASCII, and ambiguous text is quoted; importing a YAML library would take longer than the whole rendering.

The start program is the same for every job and runs on any `python3` since 3.6, to report that one is too old. Free
text of the user is only in the job document.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robotrain.model.job import Job
from robotrain_azure import workspace

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec import job_settings, submission_spec
from robotrain_azureml.spec.inputs import JobInput
from robotrain_azureml.spec.job_settings import get_experiment_name

QUOTED_KEY = "environment_variables"
"""Values below this key are always quoted."""
EXPRESSION_START = "${{"
_PLAIN_TEXT = r"[A-Za-z$](?:[\w./@+=-]|:(?=[\w/])| (?=[\w/]))*"
_RESERVED_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_MAX_KEY_LENGTH = 1000
"""YAML readers support keys of up to 1024 characters."""


class ExpressionError(ValueError):
    """A job that Azure ML would misread; `check` rejects every value that causes it."""


def dump_yaml(job: Mapping[str, Any]) -> str:
    """Return a job of nested mappings, strings and integers as YAML. Raises ExpressionError."""
    return "".join(f"{line}\n" for line in _format_lines(job, "", False))


def _format_lines(values: Mapping[str, Any], indent: str, quoted: bool) -> Iterator[str]:
    for name, value in values.items():
        key = f"{indent}{_format_text(name, False)}:"
        if len(key) > _MAX_KEY_LENGTH:
            raise ExpressionError("a name of the job is too long for one line")
        if isinstance(value, Mapping):
            yield key
            yield from _format_lines(value, f"{indent}  ", quoted or name == QUOTED_KEY)
        else:
            yield f"{key} {_format_text(value, quoted) if isinstance(value, str) else int(value)}"


def _format_text(text: str, quoted: bool) -> str:
    if EXPRESSION_START in text:
        raise ExpressionError(f"a value of the job holds {EXPRESSION_START}")
    if not quoted and re.fullmatch(_PLAIN_TEXT, text, re.ASCII) and text.lower() not in _RESERVED_WORDS:
        return text
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + re.sub(r"[^ !#-\[\]-~]", _escape_character, text) + '"'


def _escape_character(match: re.Match[str]) -> str:
    if match[0] in '"\\':
        return "\\" + match[0]
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


START_COMMAND = "python3 start.py"
START_PROGRAM = """\
import os
import sys


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


if sys.version_info < (3, 10):
    found = sys.version.split()[0]
    refuse("the python3 of this image is " + found + ", and 3.10 is the oldest that will do: use another --image")
try:
    import json, shutil, zipfile
except ImportError as error:
    refuse("the python3 of this image lacks a part of its library (" + str(error) + "): use another --image")
code = os.path.dirname(os.path.abspath(__file__))
try:
    with open(os.path.join(code, "job.json"), encoding="utf-8") as file:
        folder = json.load(file)["placement"]["work"]
    os.makedirs(folder, exist_ok=True)
    shutil.copyfile(os.path.join(code, "job.json"), os.path.join(folder, "job.json"))
    with zipfile.ZipFile(os.path.join(code, "payload.zip")) as packed:
        packed.extractall(os.path.join(folder, "payload"))
except (OSError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
    refuse("the job cannot be unpacked: " + (str(error) or type(error).__name__))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "job.json"])
"""


_EXPANDED_DOLLAR = r"\$(?=[$({])"
"""A dollar that Kubernetes or Azure ML would expand."""


def make_compat_variables(job: Job) -> dict[str, str]:
    """Return the variables that repeat the document's sources, in their order, for compatibility."""
    variables: dict[str, str] = {}
    if assets := _list_uris(job, "dataset", "data_asset"):
        variables |= {"DATASET_ASSETS": _dump_uris(assets), "DATASET_ASSET_COUNT": str(len(assets))}
    if urls := _list_uris(job, "dataset", "blob_url"):
        variables["BLOB_URLS"] = _dump_uris(urls)
    for uri in _list_uris(job, "init_policy"):
        if not re.search(_EXPANDED_DOLLAR, uri):  # it would be expanded and cannot be escaped
            variables["INIT_FROM_POLICY_MODEL_SOURCE"] = uri
    return variables


def make_variables(job: Job, settings: AzureMLSettings) -> dict[str, str]:
    """Return the job's environment variables."""
    return {
        "PYTHONUNBUFFERED": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "AZURE_AUTHORITY_HOST": f"https://{workspace.get_cloud().authority}",
        **({"AZURE_CLIENT_ID": settings.workload_identity} if settings.workload_identity else {}),
        "AZURE_SUBSCRIPTION_ID": settings.subscription_id or "",
        "AZURE_RESOURCE_GROUP": settings.resource_group or "",
        "AZUREML_WORKSPACE_NAME": settings.workspace_name or "",
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
        **make_compat_variables(job),
    }


def _list_uris(job: Job, role: str, *kinds: str) -> list[str]:
    return [source.uri for source in job.sources if source.role == role and (not kinds or source.kind in kinds)]


def _dump_uris(uris: Iterable[str]) -> str:
    """Return URIs as JSON, with dollars that would be expanded as `\\u0024`."""
    return re.sub(_EXPANDED_DOLLAR, r"\\u0024", json.dumps(uris))


JOB_SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
RUN_TAG = "robotrain.run"
DIGEST_TAG = "robotrain.job"
"""Tags of every job: the run's name, and the digest of the job before pinning."""


def make_command_job(job: Job, settings: AzureMLSettings, run: str, inputs: Iterable[JobInput]) -> dict[str, Any]:
    """Return the job without empty values. Its command is always the same: no value of the user is in it."""
    own_tags, environment = {RUN_TAG: run, DIGEST_TAG: job.digest}, make_environment(job, settings)
    return _drop_empty(
        {
            "$schema": JOB_SCHEMA,
            "type": "command",
            "name": run,
            "display_name": settings.display_name or run,
            "experiment_name": get_experiment_name(job),
            "tags": {**own_tags, **job_settings.parse_labels(settings), **own_tags},
            "code": submission_spec.CODE_FOLDER,
            "command": START_COMMAND,
            "environment": f"azureml:{environment.name}:{environment.version}",
            "compute": f"azureml:{job_settings.get_compute_name(settings)}",
            "resources": _make_resources(job, settings),
            "limits": _drop_empty({"timeout": job_settings.parse_timeout(settings)}),
            "identity": {"type": "managed"},
            "environment_variables": make_variables(job, settings),
            "inputs": {job_input.name: dict(job_input.entry) for job_input in inputs},
            "outputs": spec_inputs.make_outputs(job.profile.outputs.folder, settings, run),
        }
    )


def make_environment(job: Job, settings: AzureMLSettings) -> submission_spec.WorkspaceEnvironment:
    """Return the environment that the job uses."""
    return submission_spec.WorkspaceEnvironment(
        name=job_settings.get_environment_name(job.profile, settings),
        version=job_settings.get_environment_version(job.profile, settings),
        image=job_settings.get_image(job.profile, settings),
    )


def _make_resources(job: Job, settings: AzureMLSettings) -> dict[str, Any]:
    """Return the resources; only a Kubernetes compute needs an instance type."""
    return _drop_empty(
        {
            "instance_count": 1,
            "instance_type": job_settings.choose_instance_type(job, settings),
            "shm_size": settings.shm_size,
        }
    )


def _drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}

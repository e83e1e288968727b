"""The YAML of a command job, as `az ml job create` takes it: its command, variables, inputs and output.

The start program is the same for every job. Free text of the user is only in the job document.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from robotrain.cluster import spec as cluster_spec
from robotrain.cluster.spec import drop_empty, make_start_program
from robotrain.cluster.spec_patch import load_patch, merge_patch
from robotrain.model.job import Job
from robotrain_azure import workspace
from robotrain_runtime.contract.parameter import parse_pairs

from robotrain_azureml import identity
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec import job_settings, submission_spec
from robotrain_azureml.spec.inputs import JobInput
from robotrain_azureml.spec.job_settings import get_experiment_name

DISTRIBUTION: Mapping[str, Any] = {"type": "pytorch", "process_count_per_instance": 1}
RANK_VARIABLE, ADDRESS = "NODE_RANK", "${MASTER_ADDR}:${MASTER_PORT}"
"""What Azure ML sets on each node of such a job, as a job document names it.

The port is one that Azure ML chose on the first node for just this: it is free, and open between the nodes.
"""


def make_distribution(count: int) -> dict[str, Any]:
    """Return the distribution of a job with so many nodes; empty for one."""
    return dict(DISTRIBUTION) if count > 1 else {}


QUOTED_KEY = "environment_variables"
"""Values below this key are always quoted."""
EXPRESSION_START = "${{"


class Expression(str):
    """Text that Azure ML evaluates: only such a value of a job may hold an expression."""

    __slots__ = ()


class ExpressionError(ValueError):
    """A job that Azure ML would misread; `check` rejects every value that causes it."""


def _refuse_expression(field_value: str) -> None:
    if EXPRESSION_START in field_value and not isinstance(field_value, Expression):
        raise ExpressionError(f"a value of the job holds {EXPRESSION_START}")


def dump_yaml(job: Mapping[str, Any]) -> str:
    """Return a job as YAML. Raise ExpressionError."""
    return cluster_spec.dump_yaml(job, QUOTED_KEY, _refuse_expression)


START_COMMAND = "/bin/sh python.sh -I start.py"
START_PROGRAM = make_start_program(
    "json, shutil, zipfile",
    "code, options = os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]",
    'with open(os.path.join(code, "job.json"), encoding="utf-8") as file:',
    '    folder = json.load(file)["placement"]["work"]',
    "os.makedirs(folder, exist_ok=True)",
    'shutil.copyfile(os.path.join(code, "job.json"), os.path.join(folder, "job.json"))',
    'with zipfile.ZipFile(os.path.join(code, "payload.zip")) as packed:',
    '    packed.extractall(os.path.join(folder, "payload"))',
)
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
        **identity.make_identity_variables(settings.workload_identity),
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


MAX_DISPLAY_NAME = 256
_CONTROL_CHARACTER = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"


def is_line(line: str, longest: int) -> bool:
    """Return whether Azure ML takes a text as a value of one line."""
    return len(line) <= longest and not re.search(_CONTROL_CHARACTER, line) and EXPRESSION_START not in line


def is_display_name(display_name: str) -> bool:
    """Return whether Azure ML takes it as the name that the studio and MLflow show."""
    return bool(display_name.strip()) and is_line(display_name, MAX_DISPLAY_NAME)


def choose_display_name(job: Job, settings: AzureMLSettings) -> str:
    """Return the name that the user chose for the studio or gave the job; empty for that of the run."""
    return settings.display_name or (job.title if is_display_name(job.title) else "")


def make_command_job(job: Job, settings: AzureMLSettings, run: str, inputs: Iterable[JobInput]) -> dict[str, Any]:
    """Return the job without empty values. Its command is always the same: no value of the user is in it."""
    own_tags = {RUN_TAG: run, DIGEST_TAG: job.digest}
    environment = job_settings.make_environment(job, settings)
    output = job.profile.outputs.folder
    uri = Expression(spec_inputs.make_output_uri(settings.datastore, spec_inputs.OWN_NAME, output))
    machine = drop_empty({"instance_type": job_settings.choose_instance_type(job, settings)})
    compute = job_settings.get_compute_name(settings)
    job_body = drop_empty(
        {
            "$schema": JOB_SCHEMA,
            "type": "command",
            "name": run,
            "display_name": choose_display_name(job, settings) or run,
            "experiment_name": get_experiment_name(job),
            "tags": {**own_tags, **parse_pairs(settings.labels)},  # `check` rejects labels of these names
            "code": submission_spec.CODE_FOLDER,
            "command": START_COMMAND,
            "environment": environment.reference,
            "compute": f"azureml:{compute}" if compute else "",
            "resources": {"instance_count": job.training_nodes, **machine, "shm_size": settings.shm_size},
            "distribution": make_distribution(job.training_nodes),
            "limits": drop_empty({"timeout": job_settings.parse_timeout(settings)}),
            "identity": identity.make_identity(settings.workload_identity),
            "environment_variables": make_variables(job, settings),
            "inputs": {job_input.name: dict(job_input.entry) for job_input in inputs},
            "outputs": {output: {"type": "uri_folder", "mode": settings.output_mode, "path": uri}},
        }
    )
    patched: dict[str, Any] = merge_patch(job_body, _mark_expressions(load_patch(settings.spec_patch)))
    return patched


def _mark_expressions(patch: Any) -> Any:
    """Return a patch whose texts may hold expressions, such as `${{name}}` in the path of an output."""
    if isinstance(patch, Mapping):
        return {key: _mark_expressions(child) for key, child in patch.items()}
    if isinstance(patch, list):
        return [_mark_expressions(child) for child in patch]
    return Expression(patch) if isinstance(patch, str) else patch

"""Submission of a workflow: its section is found by pattern, rendered by Jinja, read, admitted and stored.

What is stored for `spec` is without what looks like a secret, base64 included.
"""

import base64
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import yaml
from jinja2 import StrictUndefined
from jinja2.exceptions import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from osmo_stand_in import config
from osmo_stand_in.service import rows
from osmo_stand_in.service.refusal import Refusal
from osmo_stand_in.service.spec import PLACES, TaskSpec, WorkflowSpec, parse_size, read_workflow
from osmo_stand_in.state import State

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def submit(
    state: State,
    pool: str,
    text: str,
    priority: str = "NORMAL",
    dry: bool = False,
    variables: Collection[str] = (),
) -> dict[str, Any]:
    """The answer to a workflow's text. dry: it is rendered, and no more. Raises Refusal.

    variables: `NAME=VALUE` for the environment of every task; a value ends before a second `=`.
    """
    there = config.read(state)
    if pool not in there["pools"]:
        raise Refusal("USER", f"Pool {pool} not found.")
    rendered = render(find_workflow(text, config.numbers(there["service"])))
    name = f"failed-{os.urandom(16).hex()}"
    try:
        document = yaml.load(rendered, Loader=LOADER)
        section = document.get("workflow") or {}
        name = str(section.get("name") or name)
        if dry:
            return _answer(name, spec=dump_yaml(document))
        workflow = read_workflow(document, config.numbers(there["service"]))
        _set_variables(workflow, variables)
        _admit(state, there, pool, workflow)
    except yaml.YAMLError as error:
        rows.insert(state, name, rows.make_row(there, pool, priority, "FAILED_SUBMISSION"))
        raise Refusal("USAGE", f"Workflow spec is not properly formatted: {error}", name) from error
    except Refusal:
        rows.insert(state, name, rows.make_row(there, pool, priority, "FAILED_SUBMISSION"))
        raise
    row = rows.insert(state, name, rows.make_workflow_row(workflow, there, pool, priority))
    state.write(f"texts/{row['name']}", redact(dump_yaml({"version": 2, "workflow": row["spec"]}), workflow))
    return _answer(row["name"], overview=f"/api/workflow/{row['name']}", logs=f"/api/workflow/{row['name']}/logs")


def _set_variables(workflow: WorkflowSpec, variables: Collection[str]) -> None:
    for variable in variables:
        name, *values = variable.split("=")
        if not values:
            raise Refusal("USAGE", f"Environment variable {variable} is incorrectly formatted")
        for task in (task for group in workflow.groups for task in group.tasks):
            task.environment[name] = values[0]


def _answer(name: str, **values: str) -> dict[str, Any]:
    return {"name": name, "overview": None, "logs": None, "spec": None, "dashboard_url": None, "warnings": [], **values}


def dump_yaml(document: Any) -> str:
    """As YAML, sorted, in blocks."""
    text: str = yaml.dump(document, Dumper=DUMPER, allow_unicode=True)
    return text


SECTION = re.compile(r"^([a-zA-Z][a-zA-Z0-9_-]*):(.*?)(?=^[a-zA-Z][a-zA-Z0-9_-]*:|\Z)", re.DOTALL | re.MULTILINE)
SECTIONS = ("workflow", "default-values", "version")
MARKERS = ("{%", "{{", "{#", "default-values")


def find_workflow(text: str, service: config.Version) -> str:
    """The workflow section, as text. Raises Refusal."""
    parts: dict[str, str] = {}
    for match in SECTION.finditer(text):
        if service >= (6, 2, 0) and match[1] not in SECTIONS:
            raise Refusal("USER", f'Unknown top-level key "{match[1]}" found in the workflow spec.')
        if match[1] in parts:
            raise Refusal("USER", f'Duplicate top-level key "{match[1]}" found in the workflow spec.')
        parts[match[1]] = match[0]
    if "workflow" not in parts:
        raise Refusal("USER", "Workflow spec not found.")
    return parts["workflow"]


TOKEN = re.compile(r"{{(uuid|workflow_id|output|input:[^}]+|host:[^}]+)}}")
TOO_LARGE = 1 << 20
"""Letters that are sent. The real one's limit is time: on two busy cores 512 KiB passed and 1,000 KiB did not."""
OVERDUE = "Jinja substitution failure: <class 'TimeoutError'>: Process exceeded time limit of 0.5 seconds"


def render(text: str) -> str:
    """What becomes of a text; OSMO's own tokens survive, written exactly so. Raises Refusal."""
    if len(text) > TOO_LARGE:
        raise Refusal("USAGE", OVERDUE)
    tokens = {f"hash{int(hashlib.md5(token.encode()).hexdigest(), 16)}": token for token in TOKEN.findall(text)}
    for name, token in tokens.items():
        text = text.replace("{{" + token + "}}", "{{" + name + "}}")
    values = {name: "{{" + token + "}}" for name, token in tokens.items()}
    try:
        return SandboxedEnvironment(undefined=StrictUndefined).from_string(text).render(values)
    except TemplateError as error:
        raise Refusal("USAGE", f"Jinja substitution failure: {type(error)}: {error}") from error


LONGEST_NAME = 64
MOST_TASKS = 20
DEFAULTS = {"cpu": "1", "memory": "1Gi", "storage": "1Gi"}
OWN_IDENTITY = ("s3", "azure")
"""Storage that a task may reach with an identity of its own."""


def _admit(state: State, there: Mapping[str, Any], pool_name: str, workflow: WorkflowSpec) -> None:
    """By pools, machines, mounts, secrets and places of data. Raises Refusal."""
    pool, tasks = there["pools"][pool_name], [task for group in workflow.groups for task in group.tasks]
    if len(tasks) > MOST_TASKS:
        raise Refusal("USER", f"Workflow cannot have more than {MOST_TASKS} tasks.")
    for name in (workflow.name, *(part.name for part in (*workflow.groups, *tasks))):
        if len(name) > LONGEST_NAME:
            raise Refusal("USER", f"Name {name} is too long. It must be {LONGEST_NAME} characters or less.")
    _check_task_inputs(state, workflow)
    if pool["status"] == "MAINTENANCE":
        text = "Users will have to wait until maintenance is completed before submission."
        raise Refusal("USAGE", f"Pool {pool_name} is undergoing maintenance. {text}", workflow.name)
    for task in tasks:
        _check_machine(task, workflow, pool_name, pool)
        _check_data(task, there)
        _check_credentials(task, there["credentials"])


def _check_task_inputs(state: State, workflow: WorkflowSpec) -> None:
    """They are of groups before this one, or of tasks of earlier workflows that have ended, however."""
    home = {task.name: group.name for group in workflow.groups for task in group.tasks}
    before: set[str] = set()
    for group in workflow.groups:
        for wanted in (
            task_input.task for task in group.tasks for task_input in task.inputs if hasattr(task_input, "task")
        ):
            earlier, colon, name = wanted.partition(":")
            if colon:
                _check_earlier_task(state, earlier, name)
            elif wanted not in home:
                raise Refusal("SUBMISSION", f"Task input {wanted} does not exist.")
            elif home[wanted] not in before:
                text = f'Group "{group.name}" requires input group "{home[wanted]}" exists before itself.'
                raise Refusal("SERVER", text)
        before.add(group.name)


def _check_earlier_task(state: State, workflow: str, name: str) -> None:
    tasks = rows.latest(rows.fetch(state, workflow)) if workflow in state.read("order", []) else []
    earlier = next((task for task in tasks if task["name"] == name), None)
    if earlier is None:
        raise Refusal("DATABASE", f"Task {name} of workflow {workflow} is not found.")
    if not rows.finished(earlier):
        text = f"Workflow ID {workflow} task {name} has status {earlier['status']}."
        raise Refusal("SUBMISSION", f"Input tasks from previous workflows must be finished: {text}")


def _check_machine(task: TaskSpec, workflow: WorkflowSpec, pool_name: str, pool: Mapping[str, Any]) -> None:
    """There are machines of that kind, large enough, that allow the mounts."""
    if task.resource not in workflow.resources:
        missing = f"Task {task.name} has no specified resource. Specify a default resource in the resources section."
        undefined = f"Requesting undefined resource {task.resource}."
        raise Refusal("RESOURCE", missing if task.resource == "default" else undefined)
    resource = workflow.resources[task.resource]
    kind = resource.platform or pool["default_platform"]
    if kind not in pool["platforms"]:
        raise Refusal("RESOURCE", f"Platform {kind} does not exist in pool {pool_name}!")
    platform = pool["platforms"][kind]
    for mount in task.volumeMounts:
        source, _, target = mount.partition(":")
        if ":" in target:
            raise Refusal("RESOURCE", f"Invalid task volume mount: {mount}.")
        if source in platform["default_mounts"] and source not in platform["allowed_mounts"]:
            text = f"Mount {source} is already provided by platform {kind} and cannot be set in volumeMounts. "
            raise Refusal("RESOURCE", f"{text}Remove it from the task spec. Task {task.name}")
        if source not in platform["allowed_mounts"]:
            text = f"Task with platform: {kind} does not allow mount: {source}. Task {task.name}"
            raise Refusal("RESOURCE", text)
    headline = f"Resource validation failed for task: {task.name}\n"
    for what, default in DEFAULTS.items() if (node := platform["node"]) else ():  # not of GPUs: OSMO's own rules
        requested = str(getattr(resource, what) or default)
        shown, named = (str(float(requested)), "CPU") if what == "cpu" else (requested, what)
        said = f"Assertion failed for task {task.name}: Value {shown} {{}} for {named}"
        size, most = parse_size(requested, what), parse_size(str(node[what]), what)
        if size <= 0:
            raise Refusal("USER", headline + said.format("needs to be greater than 0"))
        if size > most or (what == "storage" and size == most):
            table = draw_machines(config.expose_machine(pool_name, kind, node), said.format("too high"))
            text = 'Please check available resources with "osmo resource list".'
            raise Refusal("RESOURCE", f"{headline}{table}\n{text}", workflow.name)


def draw_machines(fields: Mapping[str, Any], reason: str) -> str:
    """As texttable draws it: columns three spaces apart, the last one padded in the header alone."""
    row = {**{name: str(value) for name, value in fields.items()}, "cuda-driver": "-", "reason": reason}
    widths = [max(len(name), len(cell)) for name, cell in row.items()]
    header, cells = (
        "   ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
        for texts in (row, row.values())
    )
    return "\n".join([header, "=" * len(header), cells.rstrip()])


def _check_data(task: TaskSpec, there: Mapping[str, Any]) -> None:
    for url in (port.url for port in (*task.inputs, *task.outputs) if hasattr(port, "url")):
        scheme = url.partition("://")[0] if "://" in url else ""
        if scheme not in PLACES:
            raise Refusal("SERVER", f"Unknown URI scheme: {scheme}")
        if not PLACES[scheme].fullmatch(url):
            raise Refusal("SERVER", f"Incorrectly formatted {scheme.title()} URI: {url}")
        profiles = [
            str(credential["endpoint"]).rstrip("/")
            for credential in there["credentials"].values()
            if "endpoint" in credential
        ]
        if scheme not in OWN_IDENTITY and not any(url.startswith(profile) for profile in profiles):
            raise Refusal(
                "CREDENTIAL",
                f"No credentials configured for {url} (user {there['user']}) and the backend does not support "
                "environment authentication. Run `osmo credential set` to add a credential.",
            )
    for name in (task_input.dataset.name for task_input in task.inputs if hasattr(task_input, "dataset")):
        bucket, slash, _ = name.partition("/")
        if slash and bucket not in there["buckets"]:
            raise Refusal("SERVER", f"Bucket {bucket} is not set in the configs")


def _check_credentials(task: TaskSpec, held: Mapping[str, Mapping[str, str]]) -> None:
    for name, keys in task.credentials.items():
        if name not in held:
            raise Refusal("CREDENTIAL", f"Could not find the credential: {name}.")
        for key in keys.values() if isinstance(keys, dict) else ():
            if key not in held[name]:
                text = f"{key} is not a valid credential key please choose from {dict(held[name]).keys()}"
                raise Refusal("CREDENTIAL", text)


MASKED = "[MASKED]"
NAMED = r"(?:access|auth|(?-i:[Aa]pi|API)|credential|creds|key|passw(?:or)?d|secret|token)"
BETWEEN = r"""[ \t\w.-]{0,20}[\s'"]{0,3}(?:=>|\?=|:{1,3}=|\|\||[=>:,])[`'"\s=]{0,5}"""
SECRET = re.compile(
    rf"""(?i){NAMED}{BETWEEN}([\w.=-]{{10,150}}|[a-z0-9][a-z0-9+/]{{11,}}={{0,3}})(?:[`'"\s;]|\\[nr]|$)"""
)
FRAGMENT = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])")


def redact(text: str, workflow: WorkflowSpec | None = None) -> str:
    """The text without its secrets; names of the workflow's credentials and of their keys are none."""
    allowed = {*_list_credential_names(workflow)} if workflow else set[str]()

    def fragment(match: re.Match[str]) -> str:
        try:
            padded = match[0] + "=" * (-len(match[0]) % 4)
            hidden = base64.b64decode(padded, validate=True).decode()
        except ValueError:
            return match[0]
        return match[0] if _mask(hidden, allowed) == hidden else MASKED

    return _mask(FRAGMENT.sub(fragment, text), allowed)


def _list_credential_names(workflow: WorkflowSpec) -> Iterator[str]:
    for task in (task for group in workflow.groups for task in group.tasks):
        for name, keys in task.credentials.items():
            yield from (name, *(keys.values() if isinstance(keys, dict) else ()))


def _mask(text: str, allowed: Collection[str]) -> str:
    return SECRET.sub(lambda match: match[0] if match[1] in allowed else match[0].replace(match[1], MASKED), text)

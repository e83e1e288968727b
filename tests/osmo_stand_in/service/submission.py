"""Submission of a workflow: rendered, parsed, checked, stored without what looks like a secret, base64 included."""

import base64
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osmo_stand_in import config, refusal
from osmo_stand_in.service import admission, rows, rules, template
from osmo_stand_in.state import State

if TYPE_CHECKING:
    from osmo_stand_in.service.spec import AnyWorkflow


@dataclass(frozen=True)
class Asked:
    """What comes with a POST. hurried: its render meets the time limit."""

    pool: str
    file: str
    priority: str = "NORMAL"
    dry: bool = False
    hurried: bool = False


def post(state: State, asked: Asked) -> dict[str, Any]:
    """What is answered to it. Raises Refusal."""
    there = config.read(state)
    if asked.pool not in there["pools"]:
        raise refusal.user(f"Pool {asked.pool} not found.")
    document, name = _document(state, there, asked)
    if asked.dry:
        return _answer(name, spec=written(document))
    workflow = _read(state, there, asked, document, name)
    workflow = admission.grouped(workflow, asked.pool, there["pools"][asked.pool])
    most = there["limits"]["max_num_tasks"]
    if sum(len(group.tasks) for group in workflow.groups) > most:
        raise refusal.user(f"Workflow cannot have more than {most} tasks.")
    _admit(state, there, asked, workflow)
    row = rows.insert(state, name, rows.of(workflow, there, asked.pool, asked.priority))
    _keep(state, row, asked)
    base = f"/api/workflow/{row['name']}"
    return _answer(row["name"], overview=base, logs=f"{base}/logs")


def _answer(name: str, overview: str | None = None, logs: str | None = None, spec: str | None = None) -> dict[str, Any]:
    return {"name": name, "overview": overview, "logs": logs, "spec": spec, "dashboard_url": None, "warnings": []}


def _document(state: State, there: Mapping[str, Any], asked: Asked) -> tuple[dict[str, Any], str]:
    import yaml

    number = os.urandom(16).hex()
    try:
        section = template.find_workflow(asked.file, config.numbers(there["service"]))
        text = template.render(section, there["limits"]["sandbox_seconds"], asked.hurried)
        document: dict[str, Any] = yaml.load(text, Loader=loader())
        if (size := _expanded(document)) > there["limits"]["expanded_bytes"]:  # nobody knows the real one's words
            raise refusal.broken(f"the workflow has {size} bytes")
    except yaml.YAMLError as error:
        _failed(state, there, asked, f"failed-{number}", str(error))
        raise refusal.usage(f"Workflow spec is not properly formatted: {error}", number) from error
    workflow = document.get("workflow", {})
    name = (workflow.get("name", "") if isinstance(workflow, dict) else "") or f"failed-{number}"
    if isinstance(workflow, dict):
        _label(workflow, str(name))
    return document, str(name)


def _expanded(value: Any) -> int:
    """The letters of all values, with every alias in full."""
    if isinstance(value, dict):
        return sum(map(_expanded, value.values()))
    return sum(map(_expanded, value)) if isinstance(value, list) else len(str(value))


def loader() -> Any:
    """What reads YAML safely: the quick one, where it is built."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def written(document: Any) -> str:
    """As YAML, sorted, in blocks."""
    import yaml

    text: str = yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)
    return text


def _label(workflow: dict[str, Any], name: str) -> None:
    if "labels" not in workflow:
        return
    try:
        workflow["labels"] = rules.labels(workflow["labels"])
    except ValueError as error:
        raise refusal.usage(str(error), name) from error


def _read(state: State, there: Mapping[str, Any], asked: Asked, document: dict[str, Any], name: str) -> "AnyWorkflow":
    from osmo_stand_in.service import spec

    try:
        return spec.read(document, config.numbers(there["service"]))
    except refusal.Refusal as error:
        if error.error_code == "USAGE":
            _failed(state, there, asked, name, error.message)
        raise
    except (AttributeError, TypeError) as error:
        raise refusal.broken(str(error)) from error


def _admit(state: State, there: Mapping[str, Any], asked: Asked, workflow: "AnyWorkflow") -> None:
    pool = there["pools"][asked.pool]
    try:
        admission.names(workflow, there["limits"]["max_name_length"])
        admission.earlier_tasks(workflow, state)
        if pool["status"] == "MAINTENANCE":
            raise refusal.usage(
                f"Pool {asked.pool} is undergoing maintenance. "
                "Users will have to wait until maintenance is completed before submission."
            )
        admission.open_pool(workflow, asked.pool, pool, asked.priority)
        admission.machines(workflow, asked.pool, pool)
        admission.buckets(workflow, there["buckets"])
        admission.secrets(workflow, there["user"], there)
    except refusal.Refusal as error:
        if "maintenance" not in error.message:
            _failed(state, there, asked, workflow.name, error.message)
        raise


def _failed(state: State, there: Mapping[str, Any], asked: Asked, name: str, message: str) -> None:
    rows.insert(state, name, rows.fresh(there, asked.pool, asked.priority, "FAILED_SUBMISSION", message))


def _keep(state: State, row: Mapping[str, Any], asked: Asked) -> None:
    """The text that `spec` shows: what looks like a secret is gone."""
    tasks = [task for group in row["spec"]["groups"] for task in group["tasks"]]
    for task in tasks:
        task.pop("resources", None)
    allowed = set()
    for task in tasks:
        for name, keys in task.get("credentials", {}).items():
            allowed |= {name, *(keys.values() if isinstance(keys, dict) else ())}
    saved = {"version": 2, "workflow": {key: value for key, value in row["spec"].items() if key != "pool"}}
    state.write(f"texts/{row['name']}", {"posted": asked.file, "saved": redacted(written(saved), allowed)})


MASKED = "[MASKED]"
NAMED = r"(?:access|auth|(?-i:[Aa]pi|API)|credential|creds|key|passw(?:or)?d|secret|token)"
BETWEEN = r"""[ \t\w.-]{0,20}[\s'"]{0,3}(?:=>|\?=|:{1,3}=|\|\||[=>:,])[`'"\s=]{0,5}"""
SECRET = re.compile(
    rf"""(?i){NAMED}{BETWEEN}([\w.=-]{{10,150}}|[a-z0-9][a-z0-9+/]{{11,}}={{0,3}})(?:[`'"\s;]|\\[nr]|$)"""
)
FRAGMENT = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])")


def redacted(text: str, allowed: Collection[str] = ()) -> str:
    """The text without its secrets. allowed: values that are none, such as names of credentials."""

    def fragment(match: re.Match[str]) -> str:
        try:
            padded = match[0] + "=" * (-len(match[0]) % 4)
            hidden = base64.b64decode(padded, validate=True).decode()
        except ValueError:
            return match[0]
        return match[0] if _masked(hidden, allowed) == hidden else MASKED

    return _masked(FRAGMENT.sub(fragment, text), allowed)


def _masked(text: str, allowed: Collection[str]) -> str:
    return SECRET.sub(lambda match: match[0] if match[1] in allowed else match[0].replace(match[1], MASKED), text)

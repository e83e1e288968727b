"""Pipeline jobs: what is refused in one, and its children, each a command job of the service's own naming."""

import graphlib
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azure_stand_in.ml import components, fields, job_rules
from azure_stand_in.ml.contents import Here, Ml
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.request import Refused, user_error

Make = Callable[[str, dict[str, Any]], Job]
"""Makes a child: its name, its properties."""

_IDENTITY = {"identity_type": str, "client_id": str, "object_id": str, "resource_id": str}
NODE: fields.Shape = {
    "_source": str,
    "name": str,
    "type": str,
    "componentId": str,
    "computeId": str,
    "display_name": str,
    "comment": str,
    "tags": fields.TEXTS,
    "properties": fields.TEXTS,
    "environment_variables": fields.TEXTS,
    "identity": _IDENTITY,
    "limits": {"job_limits_type": str, "timeout": str},
    "resources": {
        "instance_count": int,
        "instance_type": str,
        "shm_size": str,
        "docker_args": str,
        "docker_args_list": list,
        "properties": dict,
    },
    "distribution": dict,
    "queue_settings": dict,
    "inputs": [{"job_input_type": str, "mode": str, "uri": str, "value": str}],
    "outputs": [{"job_output_type": str, "mode": str, "uri": str, "name": str, "version": str}],
}
"""A step, as the SDK writes it in `jobs`: names with underscores, beside `componentId` and `computeId`."""
PIPELINE: fields.Shape = {
    **{name: fields.JOB[name] for name in ("jobType", "description", "displayName", "experimentName", "isArchived")},
    **{name: fields.JOB[name] for name in ("tags", "properties", "computeId", "identity", "inputs", "outputs")},
    "jobs": [NODE],
    "settings": {
        "_source": str,
        "default_compute": str,
        "default_datastore": str,
        "continue_on_step_failure": bool,
        "force_rerun": bool,
    },
    "sourceJobId": str,
}
STEP_NAME = r"[a-z_][a-z0-9_]*"
BOUND = r"\$\{\{parent\.jobs\.([^.}]+)\.outputs\.([^.}]+)\}\}"
READ = {long: short for short, long in components.MODES.items()}


def judge(name: str, sent: Mapping[str, Any], ml: Ml) -> None:
    """Raise Refused with what is wrong: of the job, of its graph, and of each step as of a command job."""
    for rule in ("name", "limits", "experiment"):
        if found := list(job_rules.RULES[rule].finds(job_rules.Sent(name, sent, ml))):
            raise user_error(" ".join(found), job_rules.RULES[rule].inner)
    body = sent["properties"]
    if found := [*fields.wrong(body, PIPELINE)]:
        raise user_error(" ".join(found), "InvalidField")
    if found := [*_graph(body, ml)]:
        raise user_error(" ".join(found), "InvalidPipeline")
    for step in body["jobs"]:
        try:
            job_rules.judge(str(uuid.uuid4()), {"properties": _child(body, step, ml, {})}, ml)
        except Refused as no:
            raise user_error(f"The step {step}: {no.message}", no.inner) from no


def _graph(body: Mapping[str, Any], ml: Ml) -> Iterator[str]:
    """What is wrong with its steps beside each of them: names, components, bindings, cycles."""
    steps: Mapping[str, Any] = body.get("jobs") or {}
    if not steps:
        yield "The pipeline job has no jobs."
    wrong = False
    for name, node in steps.items():
        spec = components.find_spec(ml, str(node.get("componentId") or ""))
        if not re.fullmatch(STEP_NAME, name):
            yield f"The node name {name!r} is invalid: it can only contain lower case letters, digits, underscores."
        elif spec is None:
            yield f"The component of the step {name} was not found."
        else:
            found = [*_ports(name, node, spec, steps, ml)]
            wrong = wrong or bool(found)
            yield from found
    if not wrong:
        try:
            graphlib.TopologicalSorter({name: needs(node) for name, node in steps.items()}).prepare()
        except graphlib.CycleError as error:
            yield f"The pipeline has a cycle: {' -> '.join(error.args[1])}."


def _ports(
    name: str, node: Mapping[str, Any], spec: Mapping[str, Any], steps: Mapping[str, Any], ml: Ml
) -> Iterator[str]:
    for what in ("inputs", "outputs"):
        declared = spec.get(what) or {}
        yield from (
            f"The step {name} has {what}.{one}, which its component does not declare."
            for one in {*(node.get(what) or {})} - {*declared}
        )
        if what == "inputs":
            given = node.get(what) or {}
            lacking = [one for one, port in declared.items() if one not in given and not port.get("optional")]
            yield from (f"The step {name} has no value for its input {one}." for one in lacking)
    for one, (other, output) in bindings(node).items():
        source = components.find_spec(ml, str((steps.get(other) or {}).get("componentId") or ""))
        if source is None or output not in (source.get("outputs") or {}):
            yield f"Failed to find referenced source for inputs.{one} of {name}: {other}.outputs.{output}."
        elif source["outputs"][output]["type"] != spec["inputs"].get(one, {}).get("type", ""):
            yield f"The input {one} of {name} has another type than {other}.outputs.{output}."


def bindings(node: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The step and its output that each input of a step is bound to, by the input's name."""
    inputs = node.get("inputs") or {}
    bindings = {name: re.fullmatch(BOUND, str(one.get("value") or "")) for name, one in inputs.items()}
    return {name: (found[1], found[2]) for name, found in bindings.items() if found}


def needs(node: Mapping[str, Any]) -> set[str]:
    """The steps that have to end well before this one."""
    return {step for step, _ in bindings(node).values()}


def _child(body: Mapping[str, Any], step: str, ml: Ml, places: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The properties of a step as a command job. places: where the outputs of earlier steps lie."""
    node = body["jobs"][step]
    spec = components.find_spec(ml, node["componentId"])
    assert spec is not None
    settings = body.get("settings") or {}
    inputs = {}
    for name, port in (spec.get("inputs") or {}).items():
        if (given := (node.get("inputs") or {}).get(name)) is None:
            continue
        mode = given.get("mode") or components.MODES.get(port.get("mode", ""))
        if bound := bindings(node).get(name):
            uri = places.get(bound, "azureml://datastores/workspaceblobstore/paths/later/")
            inputs[name] = {"jobInputType": port["type"], "mode": mode, "uri": uri}
        else:
            inputs[name] = _camel({**given, "mode": mode} if "uri" in given else given)
    outputs = {}
    for name, port in (spec.get("outputs") or {}).items():
        given = (node.get("outputs") or {}).get(name) or {}
        mode = given.get("mode") or components.MODES.get(port.get("mode", ""))
        outputs[name] = {"jobOutputType": port["type"], "mode": mode, "uri": given.get("uri")}
    distinct = {
        "resources": {**(spec.get("resources") or {}), **(node.get("resources") or {})},
        "distribution": _read_distribution(node.get("distribution") or spec.get("distribution") or {}),
        "limits": node.get("limits"),
        "identity": node.get("identity") or body.get("identity"),
    }
    return {
        "jobType": "Command",
        "command": spec["command"],
        "codeId": str(spec.get("code") or "").removeprefix("azureml:") or None,
        "environmentId": spec["environment"].removeprefix("azureml:"),
        "computeId": node.get("computeId") or settings.get("default_compute") or "",
        "displayName": node.get("display_name") or step,
        "experimentName": body.get("experimentName"),
        "tags": node.get("tags") or {},
        "environmentVariables": node.get("environment_variables") or {},
        **{name: _camel(given) for name, given in distinct.items() if given},
        "inputs": inputs,
        "outputs": outputs,
    }


def _read_distribution(given: Mapping[str, Any]) -> dict[str, Any]:
    """That of a step, whose type the SDK writes as in a file, as a command job has it."""
    own = {name: value for name, value in given.items() if name not in ("type", "distribution_type")}
    kind = given.get("distribution_type") or given.get("type")
    return {"distribution_type": kind, **own} if given else {}


def _camel(given: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): value for name, value in given.items()}


class Pipeline(Job):
    """A pipeline job. children: its steps as jobs, by the name of the step, once they could begin."""

    def __init__(
        self, name: str, at: str, body: Mapping[str, Any], here: Here, ml: Ml, make: Make, run: Callable[[Job], object]
    ) -> None:
        super().__init__(name, at, body, here.blobs, None, {}, {}, (), "")
        self._here, self._ml, self._make, self._run = here, ml, make, run
        self._advancing = threading.RLock()

    @property
    def _goes_on(self) -> bool:
        """Whether a failed step counts for nothing: the others go on, and the whole is Completed."""
        return bool((self.body.get("settings") or {}).get("continue_on_step_failure"))

    def advance(self) -> None:
        """Begin each step whose earlier ones have ended well; end with the last."""
        with self._advancing:
            if self.finished:
                return
            progress = True
            while progress:
                progress = False
                for step in self.body["jobs"]:
                    if step not in self.children and self._is_ready(step):
                        progress = True
                        self._begin(step)
            live = [child for child in self.children.values() if not child.finished]
            ended = [child.status for child in self.children.values() if child.finished]
            if "Failed" in ended and not self._goes_on:
                for child in live:
                    self._cancel(child)
                live = [child for child in live if not child.finished]
            if live:
                if self.status not in ("Running", "CancelRequested"):
                    self.state("Running")
            elif self.cancelled.is_set():
                self.state("Canceled")
            elif ("Failed" in ended or "Canceled" in ended) and not self._goes_on:
                first = next((step for step, child in self.children.items() if child.status == "Failed"), "")
                self.fail("PipelineFailed", f"Pipeline has some failed steps. See child run {first} for details.")
            else:
                self.state("Completed")

    def cancel(self) -> None:
        """Ask for its end: of the steps that run, and nothing begins any more."""
        super().cancel()
        for child in [*self.children.values()]:
            self._cancel(child)
        self.advance()

    def _cancel(self, child: Job) -> None:
        child.cancel()
        if not self._here.runner and self._here.cancelling == "at-once" and not child.finished:
            child.state("Canceled")

    def _is_ready(self, step: str) -> bool:
        stopped = self.cancelled.is_set() or (
            any(child.status == "Failed" for child in self.children.values()) and not self._goes_on
        )
        earlier = needs(self.body["jobs"][step])
        return not stopped and all(one in self.children and self.children[one].status == "Completed" for one in earlier)

    def _begin(self, step: str) -> None:
        places = {
            (other, output): f"https://{bound.account}.blob.core.windows.net/{bound.container}/{bound.prefix}"
            for other, child in self.children.items()
            for output, bound in child.outputs.items()
        }
        properties = _child(self.body, step, self._ml, places)
        child = self.children[step] = self._make(str(uuid.uuid4()), properties)
        child.parent = self
        child.changed = self.advance
        self._run(child)

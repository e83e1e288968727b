"""Pipeline jobs: what is refused in one, and its steps, which are jobs of the service's naming."""

import graphlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

from azure_stand_in.ml import addresses, job_rules
from azure_stand_in.ml.assets import find_versions
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.job import Parent

MODES = {
    "ro_mount": "ReadOnlyMount",
    "rw_mount": "ReadWriteMount",
    "download": "Download",
    "upload": "Upload",
    "direct": "Direct",
}
"""Of inputs and outputs: as a component has them, and as a job has them."""
BOUND = r"\$\{\{parent\.jobs\.([^.}]+)\.outputs\.([^.}]+)\}\}"


def find_spec(ml: Ml, address: str) -> Mapping[str, Any]:
    """The spec of the component that an address names; empty when there is none."""
    asset = addresses.asset(address, ml)
    if asset is None or asset.kind != "components":
        return {}
    spec: Mapping[str, Any] = (
        find_versions(ml, "components", asset.name).get(asset.version, {}).get("componentSpec", {})
    )
    return spec


def find_wrong(name: str, body: Mapping[str, Any], ml: Ml) -> job_rules.Found:
    """Of the job, of its graph, and of each step as of a command job."""
    yield from job_rules.find_wrong_texts(name, body)
    steps: Mapping[str, Any] = body.get("jobs") or {}
    wrong = [sentence for step in steps for sentence in _find_wrong_step(step, steps, ml)]
    if not steps:
        wrong.append("The pipeline job has no jobs.")
    if not wrong:
        try:
            graphlib.TopologicalSorter({step: _needs(node) for step, node in steps.items()}).prepare()
        except graphlib.CycleError as error:
            wrong.append(f"The pipeline has a cycle: {' -> '.join(error.args[1])}.")
    yield from (("InvalidPipeline", sentence) for sentence in wrong)
    for step in [] if wrong else steps:
        problems = job_rules.find_wrong(str(uuid.uuid4()), _make_child(body, step, ml, {}), ml)
        yield from ((code, f"The step {step}: {sentence}") for code, sentence in problems)


def _find_wrong_step(step: str, steps: Mapping[str, Any], ml: Ml) -> list[str]:
    """Its name, its component, and its bindings."""
    node = steps[step]
    spec = find_spec(ml, str(node.get("componentId") or ""))
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", step):
        return [f"The node name {step!r} is invalid: it can only contain lower case letters, digits, underscores."]
    if not spec:
        return [f"The component of the step {step} was not found."]
    inputs, declared = node.get("inputs") or {}, spec.get("inputs") or {}
    unknown = {*inputs, *(node.get("outputs") or {})} - {*declared, *(spec.get("outputs") or {})}
    lacking = [name for name, port in declared.items() if name not in inputs and not port.get("optional")]
    wrong = [f"The step {step} has {name}, which its component does not declare." for name in unknown]
    wrong += [f"The step {step} has no value for its input {name}." for name in lacking]
    for name, (other, output) in _bindings(node).items():
        source = find_spec(ml, str((steps.get(other) or {}).get("componentId") or "")).get("outputs") or {}
        if output not in source or source[output]["type"] != declared.get(name, {}).get("type"):
            wrong.append(f"Failed to find referenced source for inputs.{name} of {step}: {other}.outputs.{output}.")
    return wrong


def _bindings(node: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The step and its output that each input of a step is bound to, by the input's name."""
    inputs = node.get("inputs") or {}
    bindings = {name: re.fullmatch(BOUND, str(node_input.get("value") or "")) for name, node_input in inputs.items()}
    return {name: (match[1], match[2]) for name, match in bindings.items() if match}


def _needs(node: Mapping[str, Any]) -> set[str]:
    """The steps that have to end well before this one."""
    return {step for step, _ in _bindings(node).values()}


def _make_child(body: Mapping[str, Any], step: str, ml: Ml, places: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The properties of a step as a command job. places: where the outputs of earlier steps lie."""
    node = body["jobs"][step]
    spec, settings, bound = find_spec(ml, node["componentId"]), body.get("settings") or {}, _bindings(node)
    inputs, outputs = {}, {}
    for name, binding in (node.get("inputs") or {}).items():
        port = spec["inputs"][name]
        mode = binding.get("mode") or MODES.get(port.get("mode", ""))
        if name in bound:
            uri = places.get(bound[name], "azureml://datastores/workspaceblobstore/paths/later/")
            inputs[name] = {"jobInputType": port["type"], "mode": mode, "uri": uri}
        else:
            inputs[name] = _camel({**binding, "mode": mode} if "uri" in binding else binding)
    for name, port in (spec.get("outputs") or {}).items():
        binding = (node.get("outputs") or {}).get(name) or {}
        mode = binding.get("mode") or MODES.get(port.get("mode", ""))
        outputs[name] = {"jobOutputType": port["type"], "mode": mode, "uri": binding.get("uri")}
    distribution = dict(node.get("distribution") or spec.get("distribution") or {})
    if kind := distribution.pop("type", None):  # as in a file
        distribution.setdefault("distribution_type", kind)
    distinct = {
        "resources": {**(spec.get("resources") or {}), **(node.get("resources") or {})},
        "distribution": distribution,
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
        **{name: _camel(section) for name, section in distinct.items() if section},
        "inputs": inputs,
        "outputs": outputs,
    }


def _camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"_(\w)", lambda match: match[1].upper(), name): value for name, value in fields.items()}


class Pipeline(Parent):
    """A pipeline job. children: its steps, by their names in it."""

    def _is_broken(self, *ends: str) -> bool:
        """Whether a step ended so, and that counts: else the others go on, and the whole is Completed."""
        goes_on = (self.body.get("settings") or {}).get("continue_on_step_failure")
        return not goes_on and any(child.status in ends for child in self.children.values())

    def begin_children(self) -> None:
        for step in self.body["jobs"]:
            if step not in self.children and self._is_ready(step):
                self.begin_child(step, str(uuid.uuid4()), _make_child(self.body, step, self.ml, self._find_places()))
        for child in self.live if self._is_broken("Failed") else ():
            child.cancel()

    def conclude(self) -> None:
        if self._is_broken("Failed", "Canceled"):
            first = next((step for step, child in self.children.items() if child.status == "Failed"), "")
            self.fail("PipelineFailed", f"Pipeline has some failed steps. See child run {first} for details.")
        else:
            self.state("Completed")

    def _is_ready(self, step: str) -> bool:
        ended = {name for name, child in self.children.items() if child.status == "Completed"}
        return not (self.cancelled.is_set() or self._is_broken("Failed")) and _needs(self.body["jobs"][step]) <= ended

    def _find_places(self) -> dict[tuple[str, str], str]:
        return {
            (step, output): f"https://{bound.account}.blob.core.windows.net/{bound.container}/{bound.prefix}"
            for step, child in self.children.items()
            for output, bound in child.outputs.items()
        }

"""Admission of a well-formed workflow: pools, machines, mounts, secrets, places of data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from osmo_stand_in import refusal
from osmo_stand_in.service import rows, rules

if TYPE_CHECKING:
    from osmo_stand_in.service.spec import AnyWorkflow, ResourceSpec, TaskSpec
    from osmo_stand_in.state import State

DEFAULTS = {"cpu": "1", "memory": "1Gi", "storage": "1Gi"}
SAID = {"cpu": "CPU"}
"""Names of resources in refusals."""


def grouped(workflow: "AnyWorkflow", pool_name: str, pool: Mapping[str, Any]) -> "AnyWorkflow":
    """The workflow with a group around each task, and the platform of every resource. Raises Refusal."""
    from pydantic import ValidationError

    kind = type(workflow)
    groups = [*workflow.groups, *(kind.GROUP(name=f"{task.name}-group", tasks=[task]) for task in workflow.tasks)]
    _inputs_come_first(groups)
    for name, resource in workflow.resources.items():
        if not resource.platform:
            if pool["default_platform"] not in pool["platforms"]:
                raise refusal.resource(f"Resource {name} does not have a platform!")
            resource.platform = pool["default_platform"]
    for group in groups:
        for task in group.tasks:
            task.resources = _resource(task, workflow.resources)
    fields = {name: getattr(workflow, name) for name in workflow.model_fields_set & {"timeout", "labels"}}
    try:
        return kind(name=workflow.name, groups=groups, resources=workflow.resources, pool=pool_name, **fields)
    except ValidationError as error:
        raise refusal.usage(str(error)) from error


def _inputs_come_first(groups: list[Any]) -> None:
    home = {task.name: group.name for group in groups for task in group.tasks}
    before: set[str] = set()
    for group in groups:
        for wanted in (one.task for task in group.tasks for one in task.inputs if hasattr(one, "task")):
            if ":" in wanted:
                continue
            if wanted not in home:
                raise refusal.submission(f"Task input {wanted} does not exist.")
            if home[wanted] not in before:
                text = f'Group "{group.name}" requires input group "{home[wanted]}" exists before itself.'
                raise refusal.broken(text)
        before.add(group.name)


def _resource(task: "TaskSpec", resources: Mapping[str, "ResourceSpec"]) -> "ResourceSpec":
    if task.resource in resources:
        return resources[task.resource]
    if task.resource == "default":
        raise refusal.resource(
            f"Task {task.name} has no specified resource. Specify a default resource in the resources section."
        )
    raise refusal.resource(f"Requesting undefined resource {task.resource}.")


def earlier_tasks(workflow: "AnyWorkflow", state: "State") -> None:
    """Inputs of earlier workflows are of tasks that have ended, however. Raises Refusal."""
    every = [task for group in workflow.groups for task in group.tasks]
    for wanted in (one.task for task in every for one in task.inputs if hasattr(one, "task")):
        name, colon, task = wanted.partition(":")
        if not colon:
            continue
        known = rows.latest(rows.fetch(state, name)) if name in state.read("order", []) else []
        found = next((one for one in known if one["name"] == task), None)
        if found is None:
            raise refusal.missing(f"Task {task} of workflow {name} is not found.")
        if not rows.finished(found):
            raise refusal.submission(
                "Input tasks from previous workflows must be finished: "
                f"Workflow ID {name} task {task} has status {found['status']}."
            )


def names(workflow: "AnyWorkflow", longest: int) -> None:
    """None is too long. Raises Refusal."""
    tasks = [task.name for group in workflow.groups for task in group.tasks]
    for name in (workflow.name, *(group.name for group in workflow.groups), *tasks):
        if len(name) > longest:
            raise refusal.user(f"Name {name} is too long. It must be {longest} characters or less.")


def open_pool(workflow: "AnyWorkflow", pool_name: str, pool: Mapping[str, Any], priority: str) -> None:
    """The pool takes workflows, of that priority and with so many GPUs. Raises Refusal."""
    guarantee = pool["resources"]["gpu"]["guarantee"]
    for group in workflow.groups:
        gpus = sum(task.resources.gpu or 0 for task in group.tasks)
        if priority != "LOW" and guarantee != -1 and gpus > guarantee:
            raise refusal.usage(
                f"Pool {pool_name} has {guarantee} GPUs guaranteed for NORMAL/HIGH priority workflows and group "
                f"{group.name} requires {gpus} GPUs. Higher gpu counts must be submitted with LOW priority",
                workflow.name,
            )


def machines(workflow: "AnyWorkflow", pool_name: str, pool: Mapping[str, Any]) -> None:
    """There are machines of that kind that allow what the tasks want. Raises Refusal."""
    for group in workflow.groups:
        for task in group.tasks:
            kind = task.resources.platform
            if kind not in pool["platforms"]:
                raise refusal.resource(f"Platform {kind} does not exist in pool {pool_name}!")
            _mounts(task, pool["platforms"][kind])
            _fits(task, pool_name, pool["platforms"][kind], workflow.name)


def _mounts(task: "TaskSpec", platform: Mapping[str, Any]) -> None:
    kind = task.resources.platform
    for asked, flag, allowed in (
        (task.privileged, "privileged", "privileged_allowed"),
        (task.hostNetwork, "hostNetwork", "host_network_allowed"),
    ):
        if asked and not platform[allowed]:
            raise refusal.resource(f"Task with platform: {kind} does not have {flag} flag enabled. Task {task.name}")
    for mount in task.volumeMounts:
        source, *rest = mount.split(":")
        if len(rest) > 1 or rest == [""]:
            raise refusal.resource(f"Invalid task volume mount: {mount}.")
        if source in platform["allowed_mounts"]:
            continue
        if source in platform["default_mounts"]:
            raise refusal.resource(
                f"Mount {source} is already provided by platform {kind} and cannot be set in volumeMounts. "
                f"Remove it from the task spec. Task {task.name}"
            )
        raise refusal.resource(f"Task with platform: {kind} does not allow mount: {source}. Task {task.name}")


def _fits(task: "TaskSpec", pool_name: str, platform: Mapping[str, Any], workflow: str) -> None:
    """By OSMO's own rules: of CPU, memory and storage, not of GPUs."""
    node = platform.get("node")
    if not node:
        return
    headline = f"Resource validation failed for task: {task.name}\n"
    wanted = {what: str(getattr(task.resources, what) or DEFAULTS[what]) for what in DEFAULTS}
    shown = {**wanted, "cpu": str(float(wanted["cpu"]))}
    for what, given in wanted.items():
        named = f"Assertion failed for task {task.name}: Value {shown[what]} {{}} for {SAID.get(what, what)}"
        size, there = rules.size(given, what), rules.size(str(node[what]), what)
        if size <= 0:
            raise refusal.user(headline + named.format("needs to be greater than 0"))
        if size > there or (what == "storage" and size == there):
            fields = expose_machine(pool_name, task.resources.platform or "", node)
            raise refusal.resource(
                f"{headline}{draw_machines(fields, named.format('too high'))}\n"
                'Please check available resources with "osmo resource list".',
                workflow,
            )


def secrets(workflow: "AnyWorkflow", user: str, config: Mapping[str, Any]) -> None:
    """Images, places of data and credentials are reached with what the user has set. Raises Refusal."""
    held = config["credentials"]
    for group in workflow.groups:
        for task in group.tasks:
            _image(task.image, config["limits"])
            for one in (*task.inputs, *task.outputs):
                if hasattr(one, "url"):
                    _reached(one.url, user, held)
            for name, keys in task.credentials.items():
                _held(name, keys, held)


def buckets(workflow: "AnyWorkflow", known: Sequence[str]) -> None:
    """Datasets lie in buckets of the configuration. Raises Refusal."""
    inputs = [one for group in workflow.groups for task in group.tasks for one in task.inputs]
    for name in (one.dataset.name for one in inputs if hasattr(one, "dataset")):
        bucket, slash, _ = name.partition("/")
        if slash and bucket not in known:
            raise refusal.broken(f"Bucket {bucket} is not set in the configs")


def _image(image: str, limits: Mapping[str, Any]) -> None:
    registry, _, rest = image.partition("/")
    if "." not in registry:
        registry, rest = "registry-1.docker.io", image
    name, _, tag = rest.partition(":")
    url = f"https://{registry}:443/v2/{name}/manifests/{tag or 'latest'}"
    if registry in limits["registries_unknown"]:
        raise refusal.credential(
            f"Registry connection error for {url}:\n HTTPSConnectionPool(host='{registry}', port=443): Max retries "
            f'exceeded with url: /v2/{name}/manifests/{tag} (Caused by NameResolutionError("HTTPSConnection(host='
            f"'{registry}', port=443): Failed to resolve '{registry}' ([Errno -2] Name or service not known)\"))"
        )
    if registry in limits["registries_open"] and image in limits["images_refused"]:
        raise refusal.credential(f"Registry authorization error for {url}:\n <Response [404]>")
    if image in limits["images_refused"]:
        raise refusal.credential(
            f"Unable to authenticate for pulling image {image}. Please create a credential matching {registry} "
            "or check if the image exists."
        )


def _reached(url: str, user: str, held: Mapping[str, Any]) -> None:
    scheme = rules.place(url)
    profiles = [str(one.get("endpoint", "")).rstrip("/") for one in held.values()]
    if scheme not in rules.OWN_IDENTITY and not any(one and url.startswith(one) for one in profiles):
        raise refusal.credential(
            f"No credentials configured for {url} (user {user}) and the backend does not support environment "
            "authentication. Run `osmo credential set` to add a credential."
        )


def _held(name: str, keys: "str | Mapping[str, str]", held: Mapping[str, Any]) -> None:
    if name not in held:
        raise refusal.credential(f"Could not find the credential: {name}.")
    if isinstance(keys, str):
        return
    for key in keys.values():
        if key not in held[name]:
            text = f"{key} is not a valid credential key please choose from {dict(held[name]).keys()}"
            raise refusal.credential(text)


GIB = 2.0**30


def list_machines(pools: Mapping[str, Any], wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The machines of `wanted` pools, as `GET api/resources` has them."""
    for name, pool in pools.items():
        for kind, platform in pool["platforms"].items():
            node = platform.get("node")
            if node and name in wanted:
                yield {
                    "hostname": f"node-{kind}",
                    "exposed_fields": expose_machine(name, kind, node),
                    "taints": [],
                    "usage_fields": {},
                    "conditions": None,
                    "allocatable_fields": {key: str(value) for key, value in node.items()},
                    "backend": pool["backend"],
                    "pool_platform_labels": {name: [kind]},
                    "resource_type": "SHARED",
                }


def expose_machine(pool: str, kind: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a machine: sizes are whole GiB, and all are texts."""
    sizes = {name: str(int(rules.size(str(node[name]), name) / GIB)) for name in ("storage", "memory")}
    values = {"storage": sizes["storage"], "cpu": str(node["cpu"]), "memory": sizes["memory"]}
    return {"node": f"node-{kind}", "pool/platform": [f"{pool}/{kind}"], **values, "gpu": str(node.get("gpu", 0))}


def draw_machines(fields: Mapping[str, Any], reason: str) -> str:
    """As texttable draws it: columns three spaces apart, the last one padded in the header alone."""
    row = {**{name: str(value) for name, value in fields.items()}, "cuda-driver": "-", "reason": reason}
    widths = [max(len(name), len(cell)) for name, cell in row.items()]
    header, cells = (
        "   ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
        for texts in (row, row.values())
    )
    return "\n".join([header, "=" * len(header), cells.rstrip()])

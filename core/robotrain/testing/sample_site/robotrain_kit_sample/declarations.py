"""The kit's source kind and workload, with parameters of each type, and a platform that accepts all of them."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from robotrain import plugin
from robotrain.model.capabilities import FEATURES
from robotrain_runtime.contract.document import RoleName

MANY = ("dataset", "backbone")
"""The roles that take several sources."""
ROLE_FLAGS = {role: f"--kit-{role.replace('_', '-')}" for role in get_args(RoleName)}


@dataclass(frozen=True)
class KitShelf:
    """A shelf, by whatever stands on it."""

    kind: ClassVar[str] = "kit_shelf"
    text: str

    def __str__(self) -> str:
        return self.text


def parse_shelf(text: str, base: Path) -> KitShelf:
    """Return the shelf of that text. Raise plugin.SourceError for control characters and for an empty text."""
    if not text.strip() or any(ord(letter) < 0x20 for letter in text):
        raise plugin.SourceError("A shelf has a name without control characters.")
    return KitShelf(text)


@plugin.hook
def robotrain_source_kinds() -> Iterable[plugin.SourceKind]:
    """Return the kind of this module."""
    return (
        plugin.SourceKind(
            name=KitShelf.kind,
            title="shelves of the kit",
            form="SHELF",
            example="shelf/of the kit",
            help="A shelf of the conformance kit.",
            roles={role: plugin.RoleFlag(flag, repeatable=role in MANY) for role, flag in ROLE_FLAGS.items()},
            recognizes=lambda text: text.startswith("shelf/"),
            parse=parse_shelf,
            container_plugin=f"{__package__}.container",
        ),
    )


def _declare(name: str, type: Any, default: Any, help: str = "any value", **rules: Any) -> tuple[str, Any, Any]:
    return name, Annotated[type, plugin.Param(help=help, **rules)], dataclasses.field(default=default)


SampleParameters = dataclasses.make_dataclass(
    "SampleParameters",
    [
        _declare("kit_note", str, ""),
        _declare("kit_nickname", str | None, None),
        _declare("kit_steps", int, 1, gt=0),
        _declare("kit_rate", float, 0.5, gt=0),
        _declare("kit_fast", bool, False),
        _declare("kit_mode", Literal["plain", "fancy"], "plain"),
        _declare("kit_table", str | None, None, form="table"),
        _declare("publish_url", str | None, None, help="a place to write to"),
        _declare("num_nodes", int, 1, help="nodes that work together", ge=1, requires="multi_node"),
        *(_declare(f"kit_text_{number}", str, "") for number in range(1, 10)),
        *(
            _declare(f"kit_needs_{name}", bool, False, help=f"needs a platform that can {title}", requires=name)
            for name, title in FEATURES.items()
        ),
    ],
    frozen=True,
    kw_only=True,
)
SampleParameters.__module__ = __name__


@plugin.hook
def robotrain_workloads() -> Iterable[plugin.Workload]:
    """Return the workload of this module."""
    return (
        plugin.Workload(
            name="kit-train",
            summary="what the conformance kit sends",
            parameters=SampleParameters,
            roles={role: plugin.Role(many=role in MANY) for role in ROLE_FLAGS},
            container_plugin=f"{__package__}.container",
            targets=("publish_url",),
        ),
    )


class ProbeCapabilities(plugin.Capabilities):
    """Support for every kind, also for those that a platform has to mount."""

    def source(self, role: str, kind: plugin.SourceKind) -> plugin.Support:
        """Return yes."""
        return plugin.YES


class ProbeEngine(plugin.PlatformPlans, plugin.PlatformEngine):
    """Renders a plan that is the document alone."""

    def render(
        self, job: plugin.Job, settings: Any, run: str, payload: plugin.Payload, plugins: Mapping[str, str]
    ) -> plugin.Plan:
        """Return a plan with the document alone."""
        name = self.platform.name
        placement = plugin.Placement(work="/probe/work", cache="/probe/cache")
        body = plugin.make_job_document(job, run=run, platform=name, container_plugins=plugins, placement=placement)
        files = {"job.json": body.to_json().encode()}
        return plugin.Plan(platform=name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))


@plugin.hook
def robotrain_platforms() -> Iterable[plugin.Platform]:
    """Return the platform of this module."""
    capabilities = ProbeCapabilities(workloads={plugin.ANY: plugin.YES}, features={"several_datasets": plugin.YES})
    summary = "shows the job document"
    return (plugin.Platform(name="kit-probe", summary=summary, engine_class=ProbeEngine, capabilities=capabilities),)

"""A patch of a platform's spec, `--spec-patch`: merged into what was rendered, as RFC 7386 says."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.cluster.checks import TemplateGuard
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages

if TYPE_CHECKING:
    from robotrain.model.pipeline import PipelineStep

make_problem = Messages(__file__)


class ProtectedKey(NamedTuple):
    """A key of a spec that a patch must not touch."""

    path: tuple[str, ...]
    why: str
    """As a sentence."""


def load_patch(text: str | None) -> dict[str, Any]:
    """Return the patch that a setting holds as JSON; empty without one."""
    patch: dict[str, Any] = json.loads(text) if text else {}
    return patch


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with a JSON merge patch: mappings are merged, null removes a key, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def find_protected_changes(patch: Mapping[str, Any], protected: Iterable[ProtectedKey]) -> Iterator[Problem]:
    """Yield a problem for each key that a patch touches and must not."""
    for key in protected:
        if touches(patch, key.path):
            yield make_problem("spec-patch-refused", given=".".join(key.path), why=key.why)


def check_syntax(text: str, guard: TemplateGuard) -> Iterator[Problem]:
    """Check that a patch has nothing that the engine would evaluate."""
    if syntax := guard.find_syntax(text):
        yield make_problem("spec-patch-refused.template", given=syntax, why=guard.why.format(syntax))


def check_steps(steps: "Iterable[PipelineStep]") -> Iterator[Problem]:
    """Check that no step of a pipeline has a patch: the spec of the whole is not that of one job."""
    for step in steps:
        if step.settings.spec_patch:
            yield make_problem("spec-patch-refused.steps", given=step.name)


def make_engine_problem(engine: str, reason: str, *ways: Suggestion) -> Problem:
    """Return the problem of a patched spec that the engine's own validation refuses."""
    return make_problem("spec-patch-refused.engine", *ways, engine=engine, why=reason)


def touches(patch: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Return whether a patch gives or removes a key, or replaces one above it."""
    node: Any = patch
    for name in path:
        if not isinstance(node, Mapping):
            return True
        if name not in node:
            return False
        node = node[name]
    return True

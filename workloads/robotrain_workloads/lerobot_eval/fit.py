"""Whether a policy fits the datasets and the environment of a job, from descriptions alone. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_eval import environments, evaluated, extras
from robotrain_workloads.lerobot_train import comparing, dataset, features, json_object, policy

RENAMES = "rename_observations_processor"
EMPTY = "observation.images.empty_camera_"
"""Cameras that a policy has room for, and that nobody has: it sees black."""


def unlike(document: JobDocument, folders: Mapping[Source, Path]) -> Iterator[str]:
    """One sentence for each thing that does not fit. folders: what is here of each source, its description at least."""
    infos = list(_infos(document, folders))
    settings, renamed = _settings(document, folders, infos)
    if settings is None:
        return
    asked, kind = document.parameters["policy_type"], settings.get("type")
    if asked is not None and kind:
        yield from policy.of_another_type(evaluated.name(document), kind, asked)
    made = evaluated.made(document.parameters) if document.parameters["builtin_policy"] else kind
    yield from extras.lacking(made, document.placement.environment)
    for info in infos[:1]:  # several are alike, or cannot be merged
        yield from features.unlike(_padded(settings, info), info, renamed)
    if env := document.parameters["env"]:
        yield from environments.unfit(settings, str(env), document.trainer_args)


def _infos(document: JobDocument, folders: Mapping[Source, Path]) -> Iterator[dict[str, Any]]:
    """The descriptions of datasets that nothing is wrong with."""
    for source in comparing.datasets(document, folders):
        with suppress(OSError, ValueError):
            found = dataset.info(folders[source])
            if not any(dataset.wrong_description(found, source.uri, convert=comparing.converts(document))):
                yield found


def _settings(
    document: JobDocument, folders: Mapping[Source, Path], infos: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, list[str]]:
    """The policy's, as far as they can be read, and how it renames what is recorded, as an option of a trainer's."""
    if document.parameters["builtin_policy"]:
        return (made_for(infos[0]), []) if infos else (None, [])
    if evaluated.source(document.sources) in folders:
        with suppress(OSError, ValueError):
            model = evaluated.model(folders)
            assert model is not None
            return _without_empty(policy.settings(model)), [f"--rename_map={json.dumps(_renames(model))}"]
    return None, []


def made_for(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a policy that is made for a dataset reads and does."""
    found = {name: one for name, one in info["features"].items() if isinstance(one, dict)}
    numbers = {name: {"shape": found[name].get("shape")} for name in (features.STATE, features.WORLD) if name in found}
    pictures = {
        name: {"type": "VISUAL", "shape": features.picture(found[name])}
        for name in dataset.cameras(info)
        if name in found
    }
    return {"input_features": numbers | pictures, "output_features": {features.ACTION: found[features.ACTION]}}


def _renames(model: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        steps = json_object.read(model / policy.PROCESSORS[0]).get("steps") or ()
        return next((dict(step["config"]["rename_map"]) for step in steps if step.get("registry_name") == RENAMES), {})
    return {}


def _without_empty(settings: dict[str, Any]) -> dict[str, Any]:
    found = settings.get("input_features") or {}
    return {**settings, "input_features": {name: one for name, one in found.items() if not name.startswith(EMPTY)}}


def _padded(settings: dict[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """Some policies fill up a state that is shorter than theirs: then its size is none of their questions."""
    most, found = settings.get("max_state_dim"), settings["input_features"].get(features.STATE)
    recorded = info["features"].get(features.STATE)
    if not (isinstance(most, int) and found and recorded and sum(recorded.get("shape") or ()) <= most):
        return settings
    return {**settings, "input_features": {**settings["input_features"], features.STATE: recorded}}

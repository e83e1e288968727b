"""Whether a policy fits the datasets, the simulated environment and the locked environment of a job."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import dataset, dataset_preparation, file_formats, policy, policy_features
from robotrain_workloads.lerobot.versions import LEROBOT_VERSION
from robotrain_workloads.lerobot_eval.inputs import selection, simulation

RENAME_STEP = "rename_observations_processor"
EMPTY_CAMERA = "observation.images.empty_camera_"
"""Cameras that a policy has room for, and that nobody has: it sees black."""


def find_mismatches(document: JobDocument, folders: Mapping[JobSource, Path]) -> Iterator[str]:
    """One sentence for each thing that does not fit. folders: what is here of each source, its description at least."""
    infos = list(_load_infos(document, folders))
    settings, renamed = _load_settings(document, folders, infos)
    if settings is None:
        return
    asked, kind = document.parameters["policy_type"], settings.get("type")
    if asked is not None and kind:
        yield from policy.find_type_problem(selection.get_policy_name(document), kind, asked)
    made = selection.get_builtin_type(document.parameters) if document.parameters["builtin_policy"] else kind
    yield from find_missing_packages(made, document.placement.environment)
    for info in infos[:1]:  # several are alike, or cannot be merged
        yield from policy_features.find_feature_mismatches(_pad_state(settings, info), info, renamed)
    if env := document.parameters["env"]:
        yield from simulation.find_environment_problems(settings, str(env), document.trainer_args)


def _load_infos(document: JobDocument, folders: Mapping[JobSource, Path]) -> Iterator[dict[str, Any]]:
    """The descriptions of datasets that nothing is wrong with."""
    for source in dataset_preparation.list_datasets(document, folders):
        with suppress(OSError, ValueError):
            found = dataset.load_dataset_info(folders[source])
            if not any(
                dataset.find_description_problems(
                    found, source.uri, convert=dataset_preparation.should_convert(document)
                )
            ):
                yield found


def _load_settings(
    document: JobDocument, folders: Mapping[JobSource, Path], infos: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, list[str]]:
    """The policy's, as far as they can be read, and how it renames what is recorded, as an option of a trainer's."""
    if document.parameters["builtin_policy"]:
        return (make_builtin_settings(infos[0]), []) if infos else (None, [])
    if selection.find_policy_source(document.sources) in folders:
        with suppress(OSError, ValueError):
            model = selection.find_policy_folder(folders)
            assert model is not None
            return _drop_empty_cameras(policy.load_policy_settings(model)), [
                f"--rename_map={json.dumps(_load_renames(model))}"
            ]
    return None, []


def make_builtin_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a policy that is made for a dataset reads and does."""
    found = {name: one for name, one in info["features"].items() if isinstance(one, dict)}
    numbers = {
        name: {"shape": found[name].get("shape")}
        for name in (policy_features.STATE, policy_features.WORLD)
        if name in found
    }
    pictures = {
        name: {"type": "VISUAL", "shape": policy_features.get_image_shape(found[name])}
        for name in dataset.list_cameras(info)
        if name in found
    }
    return {
        "input_features": numbers | pictures,
        "output_features": {policy_features.ACTION: found[policy_features.ACTION]},
    }


def _load_renames(model: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        steps = file_formats.read_json_object(model / policy.PROCESSOR_FILES[0]).get("steps") or ()
        return next(
            (dict(step["config"]["rename_map"]) for step in steps if step.get("registry_name") == RENAME_STEP), {}
        )
    return {}


def _drop_empty_cameras(settings: dict[str, Any]) -> dict[str, Any]:
    found = settings.get("input_features") or {}
    return {
        **settings,
        "input_features": {name: one for name, one in found.items() if not name.startswith(EMPTY_CAMERA)},
    }


def _pad_state(settings: dict[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """Some policies fill up a state that is shorter than theirs: then its size is none of their questions."""
    most, found = settings.get("max_state_dim"), settings["input_features"].get(policy_features.STATE)
    recorded = info["features"].get(policy_features.STATE)
    if not (isinstance(most, int) and found and recorded and sum(recorded.get("shape") or ()) <= most):
        return settings
    return {**settings, "input_features": {**settings["input_features"], policy_features.STATE: recorded}}


MISSING_PACKAGE = "transformers"
TRANSFORMERS_TYPES = (
    *("eo1", "fastwam", "groot", "lingbot_va", "molmoact2", "multi_task_dit", "pi0", "pi05", "pi0_fast", "smolvla"),
    *("vla_jepa", "wall_x", "xvla"),
)
"""As LeRobot says when it makes one of them."""
OWN_ENVIRONMENT_HINT = "--environment PATH, which the platform local takes, names one of your own that does"


def find_missing_packages(kind: object, environment: str | None) -> Iterator[str]:
    """A sentence for a policy that cannot be loaded. environment: the person's own, of which nothing is known here."""
    if kind in TRANSFORMERS_TYPES and environment is None:
        yield explain_missing_package(f"LeRobot {LEROBOT_VERSION}'s {kind}", MISSING_PACKAGE)


def explain_missing_package(subject: str, package: str) -> str:
    """What needs it, and the way out."""
    return (
        f"{subject} needs {package}, which the locked environment of evaluations does not hold: {OWN_ENVIRONMENT_HINT}"
    )

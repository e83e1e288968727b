"""Gym environment of a rollout, as LeRobot configures it, adapted to what the policy reads.

LeRobot, Gymnasium and the environment's package are imported on use.
"""

import contextlib
import dataclasses
import functools
import importlib
import io
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.contract.problem import make_data_problem, summarize_problem

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import options as lerobot_options
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot.policy_features import UNKNOWN_TYPE, FeatureOrigin, find_feature_mismatches
from robotrain_workloads.lerobot_eval.inputs import compatibility
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.inputs.simulation import (
    PICTURE_DIMENSIONS,
    SIMULATED_ENVIRONMENTS,
    SIZE_OPTIONS,
    make_task_options,
    match_single_camera,
    suggest_scenes,
)

ENVIRONMENT_OPTION = "--env."
STATE_OBSERVATION, IMAGE_OBSERVATION = "environment_state_agent_pos", "pixels_agent_pos"
"""LeRobot's names of the two observation types."""
KEY_POINTS = "observation.environment_state"
ACTION = "action"
Shapes = Mapping[str, tuple[int, ...]]
RENDERER_VARIABLE = "MUJOCO_GL"
OPENGL_PACKAGES = {"OpenGL", "_render", "egl", "osmesa", "glfw", "renderers"}
"""Folders of packages that call OpenGL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEnvironment:
    """An environment that fits the policy."""

    name: str
    config: Any
    """LeRobot's configuration."""
    options: tuple[str, ...]
    """Those that the configuration was parsed from, without a prefix."""
    render_size: Mapping[str, int]
    """Image size for the policy, for Gymnasium; empty for LeRobot's default."""
    renamed: Mapping[str, str]
    """The policy's names of observations, by the environment's, where they differ."""
    scaled: bool
    """Whether the policy knows key points as -1 to 1."""

    def make_gym_environment(self, task: str) -> Any:
        """Return a gym environment of a task, "" for the only one. Raise SystemExit with a sentence."""
        config = _parse_config(self.name, [*self.options, *make_task_options(task)], ())
        with explain_render_errors(self.name):
            if is_built_by_lerobot(self.name):
                from lerobot.envs import factory

                with contextlib.redirect_stdout(io.StringIO()):  # it announces each of them
                    vectors_by_group = factory.make_env(config, n_envs=1)
                (vectors_by_task,) = vectors_by_group.values()
                (vector,) = vectors_by_task.values()
                return vector.envs[0]
            import gymnasium as gym

            return gym.make(
                config.gym_id,
                disable_env_checker=config.disable_env_checker,
                **{**config.gym_kwargs, **self.render_size},
            )


def is_built_by_lerobot(env: str) -> bool:
    """Return whether LeRobot's `make_env` makes an environment: Gymnasium's list does not have it."""
    return SIMULATED_ENVIRONMENTS[env].needs_tasks


def configure_environment(loaded: LoadedPolicy, request: EvaluationRequest) -> RolloutEnvironment:
    """Return the requested environment, for this policy. Raise SystemExit with a sentence if it cannot be made."""
    # Register the environment with Gymnasium. It renders without a screen by default
    environment_type = SIMULATED_ENVIRONMENTS[request.env]
    if environment_type.is_mujoco:
        os.environ.setdefault(RENDERER_VARIABLE, "egl")
    package = request.env if is_built_by_lerobot(request.env) else f"gym_{request.env}"
    with explain_render_errors(request.env):
        try:
            if environment_type.setup:
                importlib.import_module(environment_type.setup).prepare(request)
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise WorkFailed(f"--env {request.env}: this run's environment lacks {package}") from error
    images = any(is_image(name) for name in get_feature_shapes(loaded.policy.config.input_features))
    observation_type = IMAGE_OBSERVATION if images or request.env != "pusht" else STATE_OBSERVATION
    options = [f"--obs_type={observation_type}"]
    given_options = [option for option in request.options if option.startswith(ENVIRONMENT_OPTION)]
    options += [f"--{option.removeprefix(ENVIRONMENT_OPTION)}" for option in given_options]
    if request.env_steps is not None:
        options.append(f"--episode_length={request.env_steps}")
    config = _parse_config(request.env, options, given_options)
    if not is_built_by_lerobot(request.env):  # import the package once, before there are worker processes
        from gymnasium.envs import registration

        with explain_render_errors(config.type), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pygame imports the deprecated pkg_resources
            registration.load_env_creator(registration.spec(config.gym_id).entry_point)
    is_scaled = needs_scaled_key_points(loaded)
    if is_scaled:
        _note_once("the policy was trained on key points from -1 to 1: those of the environment are scaled (k/256 - 1)")
    # LeRobot reads the options of the image's size, but does not pass them on to Gymnasium.
    requested = {option.removeprefix(ENVIRONMENT_OPTION).partition("=")[0] for option in given_options}
    render_size = {name: getattr(config, name) for name in SIZE_OPTIONS if name in requested}
    return RolloutEnvironment(
        name=request.env, config=config, options=tuple(options), render_size=render_size, renamed={}, scaled=is_scaled
    )


@functools.cache
def _note_once(text: str) -> None:
    """Send a note, once, however many rounds and checkpoints there are."""
    emit_note(text)


def _parse_config(env: str, options: Sequence[str], given_options: Sequence[str]) -> Any:
    """Return LeRobot's configuration with options. Raise SystemExit with a sentence for an invalid one.

    :param given_options: those of the user, as typed.
    """
    import draccus

    config_class = importlib.import_module("lerobot.envs.configs").EnvConfig.get_choice_class(env)
    try:
        with lerobot_options.explain_parser_errors(given_options, f"the configuration of {env}"):
            return draccus.parse(config_class, args=list(options))
    except Exception as error:
        raise WorkFailed(error) from error


def adapt_to_policy(
    environment: RolloutEnvironment, loaded: LoadedPolicy, shown_features: Shapes
) -> RolloutEnvironment:
    """Return the environment with the policy's name of its camera. Raise SystemExit with a sentence on a mismatch.

    :param shown_features: the shapes of what the environment shows.
    """
    inputs = get_feature_shapes(loaded.policy.config.input_features)
    cameras = [name for name in shown_features if is_image(name)]
    renamed = match_single_camera([name for name in inputs if is_image(name)], cameras, loaded.renames)
    for name, policy_camera in renamed.items():
        _note_once(f"the environment's {name} is used as the policy's {policy_camera}")
    renames = {**loaded.renames, **renamed}
    available_shapes = {renames.get(name, name): shape for name, shape in shown_features.items()}
    available_shapes[ACTION] = get_feature_shapes(environment.config.features)[ACTION]
    require_matching_features(environment.name, loaded, available_shapes)
    return dataclasses.replace(environment, renamed=renamed)


def get_feature_shapes(features: Any) -> Shapes:
    """Return the shapes of LeRobot's features, by name."""
    return {name: tuple(feature.shape) for name, feature in (features or {}).items()}


def is_image(name: str) -> bool:
    """Return whether an observation of this name is an image."""
    return name.startswith("observation.image")


def require_matching_features(env: str, loaded: LoadedPolicy, available_shapes: Shapes) -> None:
    """Raise SystemExit with a sentence about all mismatches."""
    kind = versions.get_installed_version().policies.get(loaded.kind, UNKNOWN_TYPE)
    settings = loaded.settings
    if loaded.folder:
        settings = compatibility.correct_sizes(settings, loaded.folder, kind)
    features = {
        name: {"dtype": "image" if is_image(name) else "float32", "shape": shape, "names": PICTURE_DIMENSIONS}
        for name, shape in available_shapes.items()
    }
    origin = FeatureOrigin(env, "show")
    problems = [*find_feature_mismatches(settings, {"features": features}, {}, kind, origin, is_trained=False)]
    if problems:
        raise WorkFailed(f"the policy does not match --env {env}: {'; '.join(problems)}")


def needs_scaled_key_points(loaded: LoadedPolicy) -> bool:
    """Return whether the policy was trained on key points from -1 to 1; gym-pusht gives 0 to 512."""
    statistics = [getattr(step, "stats", None) or {} for step in loaded.preprocessor.steps]
    limits: Mapping[str, Any] = next((stats[KEY_POINTS] for stats in statistics if KEY_POINTS in stats), {})
    return {"min", "max"} <= limits.keys() and all((abs(limits[name]) <= 1).all() for name in ("min", "max"))


@contextlib.contextmanager
def explain_render_errors(env: str, scenes: Path | None = None) -> Iterator[None]:
    """Turn a missing rendering library, or a file of the scenes, into a sentence with the remedy."""
    try:
        yield
    except Exception as error:
        if scenes and str(scenes) in str(error):
            raise WorkFailed(
                summarize_problem(
                    make_data_problem(
                        f"the scenes of {env} cannot be used: {str(error).replace(f'{scenes}/', '')}",
                        suggest_scenes(env),
                    )
                )
            ) from error
        frames = traceback.extract_tb(error.__traceback__)
        is_render_error = any(OPENGL_PACKAGES & set(Path(frame.filename).parts) for frame in frames)  # messages vary
        if not SIMULATED_ENVIRONMENTS[env].is_mujoco or not is_render_error:
            raise
        raise WorkFailed(
            f"the images of {env} cannot be rendered with {RENDERER_VARIABLE}="
            f"{os.environ.get(RENDERER_VARIABLE, '')}: {type(error).__name__}: {error}. Use an image that has OpenGL"
            " without a screen (on Debian and Ubuntu: apt-get install libegl1 libgl1; or libosmesa6, and the variable"
            f" {RENDERER_VARIABLE}=osmesa)"
        ) from error

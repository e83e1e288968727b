"""Gym environment of a rollout, as LeRobot configures it, adapted to what the policy reads.

LeRobot, Gymnasium and the environment's package are imported on use.
"""

import importlib
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot import options as lerobot_options
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.inputs.simulation import SIZE_OPTIONS
from robotrain_workloads.lerobot_eval.results.evaluation import RolloutRequest

ENVIRONMENT_OPTION = "--env."
STATE_OBSERVATION, IMAGE_OBSERVATION = "environment_state_agent_pos", "pixels_agent_pos"
"""LeRobot's names of the two observation types."""
KEY_POINTS = "observation.environment_state"
ACTION = "action"
Shapes = Mapping[str, tuple[int, ...]]
ImageSize = tuple[int, ...]
"""Height and width."""
RENDERER_VARIABLE = "MUJOCO_GL"
MUJOCO_ENVIRONMENTS = ("aloha",)
"""Environments that MuJoCo renders."""
OPENGL_PACKAGES = {"OpenGL", "_render"}
"""Folders of packages that call OpenGL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEnvironment:
    """An environment that fits the policy."""

    config: Any
    """LeRobot's configuration."""
    render_size: Mapping[str, int]
    """Image size for the policy, for Gymnasium; empty for LeRobot's default."""
    renamed: Mapping[str, str]
    """The policy's names of observations, by the environment's, where they differ."""
    scaled: bool
    """Whether the policy knows key points as -1 to 1."""

    def make_gym_environment(self) -> Any:
        """Return a gym environment. Raise SystemExit with a sentence."""
        keywords = {**self.config.gym_kwargs, **self.render_size}
        gym = importlib.import_module("gymnasium")
        with explain_render_errors(self.config.type):
            return gym.make(self.config.gym_id, disable_env_checker=self.config.disable_env_checker, **keywords)


def configure_environment(loaded: LoadedPolicy, request: RolloutRequest) -> RolloutEnvironment:
    """Return the requested environment, for this policy. Raise SystemExit with a sentence when they do not match."""
    # Register the environment with Gymnasium. It renders without a screen by default
    if request.env in MUJOCO_ENVIRONMENTS:
        os.environ.setdefault(RENDERER_VARIABLE, "egl")
    package = f"gym_{request.env}"
    with explain_render_errors(request.env):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise SystemExit(f"error: --env {request.env}: this run's environment lacks {package}") from error
    inputs = get_feature_shapes(loaded.policy.config.input_features)
    images = [name for name in inputs if is_image(name)]
    config = _parse_config(request, IMAGE_OBSERVATION if images or request.env != "pusht" else STATE_OBSERVATION)
    # Import the package once, before there are worker processes
    registration = importlib.import_module("gymnasium.envs.registration")
    with explain_render_errors(config.type), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame imports the deprecated pkg_resources
        registration.load_env_creator(registration.spec(config.gym_id).entry_point)
    shapes = get_feature_shapes(importlib.import_module("lerobot.envs.utils").env_to_policy_features(config))
    shown, renames = [name for name in shapes if is_image(name)], {}
    if len(images) == len(shown) == 1 and images != shown:  # with one camera each, names do not matter
        renames = {shown[0]: images[0]}
        emit_event(Note(level="info", text=f"the environment's {shown[0]} is used as the policy's {images[0]}"))
    require_matching_features(request.env, loaded, {renames.get(name, name): shape for name, shape in shapes.items()})
    is_scaled = needs_scaled_key_points(loaded)
    if is_scaled:
        text = "the policy was trained on key points from -1 to 1: those of the environment are scaled (k/256 - 1)"
        emit_event(Note(level="info", text=text))
    # LeRobot reads the options of the image's size, but does not pass them on to Gymnasium.
    requested = {option.removeprefix(ENVIRONMENT_OPTION).partition("=")[0] for option in request.env_options}
    render_size = {name: getattr(config, name) for name in SIZE_OPTIONS if name in requested}
    return RolloutEnvironment(config=config, render_size=render_size, renamed=renames, scaled=is_scaled)


def _parse_config(request: RolloutRequest, observation_type: str) -> Any:
    """Return LeRobot's configuration with the given options. Raise SystemExit with a sentence for an invalid option."""
    draccus: Any = importlib.import_module("draccus")
    config_class = importlib.import_module("lerobot.envs.configs").EnvConfig.get_choice_class(request.env)
    overrides = (f"--{option.removeprefix(ENVIRONMENT_OPTION)}" for option in request.env_options)
    options = [f"--obs_type={observation_type}", *overrides]
    if request.steps is not None:
        options.append(f"--episode_length={request.steps}")
    try:
        with lerobot_options.explain_parser_errors(request.env_options, f"the configuration of {request.env}"):
            return draccus.parse(config_class, args=options)
    except Exception as error:
        raise SystemExit(f"error: {error}") from error


def get_feature_shapes(features: Any) -> Shapes:
    """Return the shapes of LeRobot's features, by name."""
    return {name: tuple(feature.shape) for name, feature in (features or {}).items()}


def is_image(name: str) -> bool:
    """Return whether an observation of this name is an image."""
    return name.startswith("observation.image")


def require_matching_features(env: str, loaded: LoadedPolicy, available: Shapes) -> None:
    """Raise SystemExit with a sentence about all mismatches."""
    config = loaded.policy.config
    inputs, outputs = get_feature_shapes(config.input_features), get_feature_shapes(config.output_features)
    problems = [f"it reads {name}, which {env} does not show" for name in inputs if name not in available]
    problems += [
        f"its {name} has the shape {list(shape)}, but that of {env} has {list(available[name])}"
        for name, shape in {**inputs, **outputs}.items()
        if name in available and not is_image(name) and shape != available[name]
    ]
    if problems:
        names = ", ".join(sorted(set(available) - {ACTION}))
        raise SystemExit(f"error: the policy does not match --env {env}: {'; '.join(problems)} (it shows {names})")


def needs_scaled_key_points(loaded: LoadedPolicy) -> bool:
    """Return whether the policy was trained on key points from -1 to 1; gym-pusht gives 0 to 512."""
    statistics = [getattr(step, "stats", None) or {} for step in loaded.preprocessor.steps]
    limits: Mapping[str, Any] = next((stats[KEY_POINTS] for stats in statistics if KEY_POINTS in stats), {})
    return {"min", "max"} <= limits.keys() and all((abs(limits[name]) <= 1).all() for name in ("min", "max"))


def get_image_size(shapes: Mapping[str, Sequence[int]]) -> ImageSize:
    """Return the size of the first image among the shapes of observations; empty for none."""
    return next((tuple(shape[-2:]) for name, shape in shapes.items() if is_image(name)), ())


@contextmanager
def explain_render_errors(env: str) -> Iterator[None]:
    """Turn a missing rendering library into a sentence with the remedy."""
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        is_render_error = any(OPENGL_PACKAGES & set(Path(frame.filename).parts) for frame in frames)  # messages vary
        if env not in MUJOCO_ENVIRONMENTS or not is_render_error:
            raise
        raise SystemExit(
            f"error: the images of {env} cannot be rendered with {RENDERER_VARIABLE}="
            f"{os.environ.get(RENDERER_VARIABLE, '')}: {type(error).__name__}: {error}. Use an image that has OpenGL"
            " without a screen (on Debian and Ubuntu: apt-get install libegl1 libgl1; or libosmesa6, and the variable"
            f" {RENDERER_VARIABLE}=osmesa)"
        ) from error

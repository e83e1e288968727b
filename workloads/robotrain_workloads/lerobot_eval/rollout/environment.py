"""The gym environment of a rollout, as LeRobot configures it, set so that it shows what the policy reads.

LeRobot, Gymnasium and the environment's package are imported only when they are asked for.
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
from robotrain_workloads.lerobot_eval.results.evaluation import RolloutRequest

ENVIRONMENT_OPTION = "--env."
STATE_OBSERVATION, IMAGE_OBSERVATION = "environment_state_agent_pos", "pixels_agent_pos"
"""What LeRobot calls the two ways in which an environment shows itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEnvironment:
    """config: LeRobot's own. drawn: the size of what the policy sees, for Gymnasium; empty for LeRobot's.

    renamed: the policy's names of observations, by the environment's, where they differ. scaled: whether the policy
    knows key points as -1 to 1.
    """

    config: Any
    drawn: Mapping[str, int]
    renamed: Mapping[str, str]
    scaled: bool

    def make_gym_environment(self) -> Any:
        """A gym environment. Raises SystemExit with a sentence."""
        keywords = {**self.config.gym_kwargs, **self.drawn}
        gym = importlib.import_module("gymnasium")
        with explain_render_errors(self.config.type):
            return gym.make(self.config.gym_id, disable_env_checker=self.config.disable_env_checker, **keywords)


def configure_environment(loaded: LoadedPolicy, request: RolloutRequest) -> RolloutEnvironment:
    """The environment that was asked for, for this policy. Raises SystemExit with a sentence when they do not fit."""
    _register_environment(request.env)
    inputs = get_feature_shapes(loaded.policy.config.input_features)
    pictures = [name for name in inputs if is_image(name)]
    config = _parse_config(request, IMAGE_OBSERVATION if pictures or request.env != "pusht" else STATE_OBSERVATION)
    _import_environment(config)
    given = get_environment_shapes(config)
    renamed = match_camera_names(pictures, [name for name in given if is_image(name)])
    require_matching_features(request.env, loaded, {renamed.get(name, name): shape for name, shape in given.items()})
    chosen = RolloutEnvironment(
        config=config,
        drawn=get_requested_size(request.env_options, config),
        renamed=renamed,
        scaled=needs_scaled_key_points(loaded),
    )
    _note_adjustments(chosen)
    return chosen


def _note_adjustments(chosen: RolloutEnvironment) -> None:
    """What was done so that the two fit."""
    for theirs, ours in chosen.renamed.items():
        emit_event(Note(level="info", text=f"what the environment calls {theirs} is {ours} to the policy"))
    if chosen.scaled:
        text = "the policy was trained on key points from -1 to 1: those of the environment are scaled so (k/256 - 1)"
        emit_event(Note(level="info", text=text))


def _parse_config(request: RolloutRequest, observation_type: str) -> Any:
    """LeRobot's, with the options that were given. Raises SystemExit with a sentence for an option it does not take."""
    draccus: Any = importlib.import_module("draccus")
    made = importlib.import_module("lerobot.envs.configs").EnvConfig.get_choice_class(request.env)
    options = [
        f"--obs_type={observation_type}",
        *(f"--{option.removeprefix(ENVIRONMENT_OPTION)}" for option in request.env_options),
    ]
    if request.steps is not None:
        options.append(f"--episode_length={request.steps}")
    try:
        with lerobot_options.explain_parser_errors(request.env_options, f"the configuration of {request.env}"):
            return draccus.parse(made, args=options)
    except Exception as error:
        raise SystemExit(f"error: {error}") from error


def _import_environment(config: Any) -> None:
    """Once, before there are processes that would each do it."""
    registration = importlib.import_module("gymnasium.envs.registration")
    with explain_render_errors(config.type), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame imports the deprecated pkg_resources
        registration.load_env_creator(registration.spec(config.gym_id).entry_point)


def _register_environment(env: str) -> None:
    """Let Gymnasium know the environment."""
    select_renderer(env)
    package = f"gym_{env}"
    with explain_render_errors(env):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise SystemExit(f"error: --env {env}: this run's environment holds no {package}") from error


KEY_POINTS = "observation.environment_state"
ACTION = "action"
Shapes = Mapping[str, tuple[int, ...]]


def get_feature_shapes(features: Any) -> Shapes:
    """Of LeRobot's features, by their names."""
    return {name: tuple(feature.shape) for name, feature in (features or {}).items()}


def is_image(name: str) -> bool:
    """Whether an observation of this name is one."""
    return name.startswith("observation.image")


def get_environment_shapes(config: Any) -> Shapes:
    """What an environment shows and takes, by the names that policies have for it."""
    return get_feature_shapes(importlib.import_module("lerobot.envs.utils").env_to_policy_features(config))


def match_camera_names(read: Sequence[str], available: Sequence[str]) -> dict[str, str]:
    """One picture for one picture is no question of names: the policy's, by the environment's."""
    return {available[0]: read[0]} if len(read) == len(available) == 1 and read != available else {}


def require_matching_features(env: str, loaded: LoadedPolicy, available: Shapes) -> None:
    """Raises SystemExit with a sentence that names all that does not fit."""
    config = loaded.policy.config
    read, acts = get_feature_shapes(config.input_features), get_feature_shapes(config.output_features)
    wrong = [f"it reads {name}, which {env} does not show" for name in read if name not in available]
    sized = {name: shape for name, shape in {**read, **acts}.items() if name in available and not is_image(name)}
    wrong += [
        f"its {name} has the shape {list(shape)}, that of {env} is {list(available[name])}"
        for name, shape in sized.items()
        if shape != available[name]
    ]
    if wrong:
        shown = ", ".join(sorted(set(available) - {ACTION}))
        raise SystemExit(f"error: the policy does not fit --env {env}: {'; '.join(wrong)} (it shows {shown})")


def needs_scaled_key_points(loaded: LoadedPolicy) -> bool:
    """Whether the policy was trained on key points from -1 to 1; gym-pusht gives them from 0 to 512."""
    known = [stats[KEY_POINTS] for step in loaded.preprocessor.steps if KEY_POINTS in (stats := _get_statistics(step))]
    if not known or "min" not in known[0] or "max" not in known[0]:
        return False
    return bool((abs(known[0]["min"]) <= 1).all() and (abs(known[0]["max"]) <= 1).all())


def _get_statistics(step: Any) -> Mapping[str, Any]:
    return getattr(step, "stats", None) or {}


SIZE_KEYWORDS = ("observation_height", "observation_width")
ImageSize = tuple[int, ...]
"""Height and width."""


def get_requested_size(options: Sequence[str], config: Any) -> dict[str, int]:
    """What a person said of it, for Gymnasium: LeRobot's configuration takes these, and does not pass them on."""
    said = {option.removeprefix("--env.").partition("=")[0] for option in options}
    return {name: getattr(config, name) for name in SIZE_KEYWORDS if name in said}


def make_size_keywords(size: ImageSize) -> dict[str, int]:
    """A size, for Gymnasium."""
    return dict(zip(SIZE_KEYWORDS, size, strict=True))


def get_policy_image_size(loaded: LoadedPolicy) -> ImageSize:
    """That of the first picture that the policy reads; empty when it reads none."""
    shapes = get_feature_shapes(loaded.policy.config.input_features)
    return next((shape[1:] for name, shape in shapes.items() if is_image(name)), ())


def get_batch_image_size(batch: Mapping[str, Any]) -> ImageSize:
    """That of the first picture of a batch; empty when there is none."""
    return next((tuple(value.shape[-2:]) for name, value in batch.items() if is_image(name)), ())


def explain_lerobot_size(drawn: ImageSize, read: ImageSize) -> str:
    """That the policy sees another size than its configuration says."""
    options = " ".join(f"--env.{name}={length}" for name, length in make_size_keywords(read).items())
    return (
        f"pictures are {_format_size(drawn)}, as LeRobot's environment draws them; the policy's configuration says"
        f" {_format_size(read)}: -- {options} draws them so"
    )


def explain_policy_size(drawn: ImageSize, read: ImageSize) -> str:
    """That the policy cannot see the size that LeRobot draws."""
    return f"pictures are drawn {_format_size(read)}, as the policy reads them: it cannot act on LeRobot's {_format_size(drawn)}"


def _format_size(size: ImageSize) -> str:
    return "x".join(map(str, size))


RENDERER_VARIABLE = "MUJOCO_GL"
MUJOCO_ENVIRONMENTS = ("aloha",)
"""The environments that MuJoCo draws."""
OPENGL_PACKAGES = {"OpenGL", "_render"}
"""The folders of the packages that speak to OpenGL."""


def select_renderer(env: str) -> None:
    """Before the environment is imported: draw without a screen, unless the person says otherwise."""
    if env in MUJOCO_ENVIRONMENTS:
        os.environ.setdefault(RENDERER_VARIABLE, "egl")


@contextmanager
def explain_render_errors(env: str) -> Iterator[None]:
    """A library that is missing becomes a sentence with the way out."""
    try:
        yield
    except Exception as error:
        if env not in MUJOCO_ENVIRONMENTS or not _is_render_error(error):
            raise
        raise SystemExit(f"error: the pictures of {env} cannot be drawn with {_suggest_image(error)}") from error


def _is_render_error(error: Exception) -> bool:
    """They say it in many words; where it was raised is always the same."""
    return any(OPENGL_PACKAGES & set(Path(frame.filename).parts) for frame in traceback.extract_tb(error.__traceback__))


def _suggest_image(error: Exception) -> str:
    return (
        f"{RENDERER_VARIABLE}={os.environ.get(RENDERER_VARIABLE, '')}: {type(error).__name__}: {error}. Use an image that has OpenGL without a"
        " screen (on Debian and Ubuntu: apt-get install libegl1 libgl1; or libosmesa6, and the variable"
        f" {RENDERER_VARIABLE}=osmesa)"
    )

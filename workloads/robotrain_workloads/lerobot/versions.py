"""The versions of LeRobot that a job can run with, and the policy types and reward models of each.

A version is a folder of data (`lerobot_versions`). On the machine of a job there is only the job's own. Standard
library only.
"""

import functools
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

FOLDER = Path(__file__).parents[1] / "lerobot_versions"
DATA_PACKAGE = ".".join((*__name__.split(".")[:1], FOLDER.name))
OPTIONS_FILE, INDEX_FILE, NETWORK_FILE, TASKS_FILE = "options.json", "index.json", "network.json", "tasks.json"
POLICIES, REWARD_MODELS = "policies", "reward_models"
PREFIXES = {POLICIES: "policy", REWARD_MODELS: "reward_model"}
"""What the names of the options of a type begin with, by section."""


class NamedRepository(NamedTuple):
    """A repository of the Hub that a type reads beside its own files, under the name that it has by default."""

    options: Sequence[str] = ()
    """The options that name another one."""
    fixed: Literal["", "always", "start"] = ""
    """When LeRobot's code names it, whatever the options say: always, or with a policy to start from."""
    new_only: bool = False
    """Whether only a new network reads it."""
    only_if: Mapping[str, Any] = {}
    """Values of options that it is read with."""
    unless: Mapping[str, Any] = {}
    """Values of options of which any makes that it is not read."""
    revision_option: str = ""
    """The option that names its revision."""
    at_parsing: bool = False
    """Whether LeRobot reads it as soon as it reads its options."""
    weights: Literal["always", "new", "never"] = "always"
    """When its weights are read, beside its tokenizer, processor and configuration: `new` is for a new network only."""
    weights_if: Mapping[str, Any] = {}
    """Values of options that its weights are read with."""
    code: Literal["", "runs", "allowed"] = ""
    """Whether its Python code runs; `allowed`: it has none, but that of another one would run."""


class ModelType(NamedTuple):
    """A type of policies, or of reward models."""

    repositories: Mapping[str, NamedRepository] = {}
    """By their default names."""
    cameras: Sequence[int | None] = ()
    """The fewest and the most cameras that it takes, without an environment state; empty for any number."""
    environment_state: bool = False
    """Whether a state of the environment does instead of the cameras that it needs."""
    dtypes: Sequence[str] = ()
    """The number formats that its option `dtype` takes; empty without that option."""
    takes_absent_cameras: bool = False
    """Whether it trains without some of the cameras that its configuration names."""
    camera_options: Mapping[str, str | Sequence[str]] = {}
    """The options that name a camera of the dataset, or several, with those that they name by default."""
    camera_prefix: str = ""
    """What the names of its cameras must begin with; empty if any name will do."""
    same_pictures: bool = False
    """Whether the pictures of all cameras must have one size."""
    square_pictures: bool = False
    """Whether pictures must be square."""
    crop_option: str = ""
    """The option with a height and a width that must fit in the pictures; empty if there is none."""
    resizes: bool = False
    """Whether it brings pictures to a size of its own, also without an option that asks for it."""
    picture_sized: bool = False
    """Whether the network's weights depend on the size of the pictures, unless these are cropped."""
    frames: int = 0
    """The frames of each camera in a sample; 0 for as many as its option `n_obs_steps`."""
    needs_state: bool | str = False
    """Whether it needs the robot's state, or the option with which it does."""
    largest_sizes: Mapping[str, str] = {}
    """By feature, the option with the most values that it may have."""
    exact_sizes: Mapping[str, str] = {}
    """By feature, the option with the number of values that it must have."""
    action_sizes: Mapping[str, int] = {}
    """By value of the option `action_mode`, the number of values of an action."""
    normalization: Mapping[str, str] = {}
    """By kind of feature (`VISUAL`, `STATE`, `ACTION`), how it is normalized: LeRobot's `normalization_mapping`."""
    relative_statistics: bool = False
    """Whether it normalizes relative actions, if it learns such, with the dataset's own statistics of actions."""
    reads_reward: bool = False
    """Whether it learns from the feature `next.reward`."""
    reads_task: bool = False
    """Whether it reads the text of the task."""
    adapter_modules: bool = False
    """Whether LeRobot knows which of its modules an adapter changes, if nobody names them."""
    optimizer: Mapping[str, Any] = {}
    """LeRobot's optimizer for it, as options without the learning rate, if LeRobot trains it without a schedule."""
    training_options: Mapping[str, Any] = {}
    """Options without whose values LeRobot does not train it, though they are not its defaults."""
    refused_start: str = ""
    """Why LeRobot cannot go on from a policy of this type; empty if it can."""
    refused: str = ""
    """Why robotrain does not train it; empty if it does."""


class NetworkOptions(NamedTuple):
    """Options of a type that change its network, so that trained weights do not fit it as it is."""

    shapes: Sequence[str] = ()
    """LeRobot refuses the weights."""
    parts: Sequence[str] = ()
    """It leaves some weights out, or starts with random ones for new parts of the network, and only logs it."""


class LeRobotVersion(NamedTuple):
    """A version of LeRobot."""

    name: str
    folder: Path

    def get_lock(self, name: str) -> Path:
        """Return the lock of an environment: `train`, `eval`, or that of a simulated one, which may not exist.

        That of `eval` begins with that of `train`, and that of a simulated one with that of `eval`.
        """
        return self.folder / f"{name}.txt"

    def read_options(self) -> Mapping[str, Any]:
        """Return the exported options; see `lerobot/options_list.py`."""
        return _read_options(self.folder)

    def get_model_options(self, section: str, kind: str) -> Mapping[str, Sequence[Any]]:
        """Return the options of a type by name, each with its kind and, if it is a plain value, its default.

        `section` is POLICIES or REWARD_MODELS. An unknown type has no options.
        """
        types: Mapping[str, Mapping[str, Sequence[Any]]] = self.read_options()["choices"][PREFIXES[section]]
        return types.get(kind, {})

    def get_network_options(self, kind: str) -> NetworkOptions:
        """Return the options that change the network of a type; none if they are unknown."""
        return NetworkOptions(**_read(self.folder / NETWORK_FILE).get(kind, {}))

    def read_tasks(self) -> Mapping[str, Any]:
        """Return the groups of tasks of each simulated environment that has several: their names, or a count."""
        environments: Mapping[str, Any] = _read(self.folder / TASKS_FILE)["environments"]
        return environments

    def get_types(self, section: str) -> Mapping[str, ModelType]:
        """Return the types of POLICIES or REWARD_MODELS."""
        return _read_types(self.folder, section)

    @property
    def types(self) -> Mapping[str, ModelType]:
        """The policy types and the reward models."""
        return {**self.policies, **self.reward_models}

    @property
    def policies(self) -> Mapping[str, ModelType]:
        """The policy types."""
        return self.get_types(POLICIES)

    @property
    def reward_models(self) -> Mapping[str, ModelType]:
        """The types of reward models."""
        return self.get_types(REWARD_MODELS)


@functools.cache
def list_versions() -> tuple[LeRobotVersion, ...]:
    """Return the versions that are here, the newest first."""
    folders = [path for path in FOLDER.iterdir() if path.name.startswith("v") and path.is_dir()]
    versions = [LeRobotVersion(path.name[1:].replace("_", "."), path) for path in folders]
    return tuple(sorted(versions, key=lambda version: [int(part) for part in version.name.split(".")], reverse=True))


def get_version(name: object = None) -> LeRobotVersion:
    """Return a version, by default the newest. Raise KeyError."""
    versions = {version.name: version for version in list_versions()}
    return versions[str(name)] if name is not None else list_versions()[0]


def get_data_package(version: LeRobotVersion, lock: str) -> str:
    """Return the package with the files of a version that a job reads, for its payload. `lock` is as in `get_lock`."""
    files = [OPTIONS_FILE, INDEX_FILE, NETWORK_FILE, "train.txt"]
    if lock != "train":
        files += [TASKS_FILE, *sorted({"eval.txt", f"{lock}.txt"})]
    return f"{DATA_PACKAGE}.{version.folder.name}:{','.join(files)}"


def list_type_names(section: str) -> tuple[str, ...]:
    """Return the names of `policies` or `reward_models` that any version has."""
    return tuple(sorted({name for version in list_versions() for name in _read(version.folder / INDEX_FILE)[section]}))


def get_installed_name() -> str:
    """Return the version of LeRobot that is installed here, else the newest one that is known."""
    try:
        return importlib.metadata.version("lerobot")
    except importlib.metadata.PackageNotFoundError:
        return get_version().name


def get_installed_version() -> LeRobotVersion:
    """Return what is known of the version that is installed here, else of the newest one."""
    installed_name = get_installed_name()
    return next((version for version in list_versions() if version.name == installed_name), list_versions()[0])


@functools.cache
def _read_options(folder: Path) -> dict[str, Any]:
    options: dict[str, Any] = json.loads((folder / OPTIONS_FILE).read_text("utf-8"))
    for group, types in options["choices"].items():
        usual = options["usual"][group]
        options["choices"][group] = {kind: dict(sorted({**usual, **fields}.items())) for kind, fields in types.items()}
    return options


@functools.cache
def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@functools.cache
def _read_types(folder: Path, section: str) -> Mapping[str, ModelType]:
    return {name: _make_type(fields) for name, fields in _read(folder / INDEX_FILE)[section].items()}


def _make_type(fields: Mapping[str, Any]) -> ModelType:
    repositories = {name: NamedRepository(**repository) for name, repository in fields.get("repositories", {}).items()}
    return ModelType(**{**fields, "repositories": repositories})

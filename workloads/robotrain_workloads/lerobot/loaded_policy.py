"""Loading of a policy of any type in LeRobot, and explanations of failures.

Runs inside the run's environment; LeRobot and PyTorch are imported on use.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.failure import EXIT_PREFLIGHT

from robotrain_workloads.exit_status import WorkFailed, end_as_preflight
from robotrain_workloads.lerobot import options, policy_packages, run_setup, versions
from robotrain_workloads.lerobot import policy as policy_files

FACTORY = "lerobot.policies.factory"
BACKBONE_SETTING = "pretrained_backbone_weights"
POLICY_OPTION = "--policy."
CONFIGURATION_NAME = "the policy's configuration"
MOST_NAMED = 3
INSTALL_ADVICE = re.compile(r"'([^']+)' is required but not installed\b")
"""LeRobot's error, whose advice is impossible in a locked environment."""
MISSING_PACKAGE = (
    "the policy needs {}, which the locked environment of evaluations lacks: on the platform local, use --environment"
    " PATH with an environment that has it"
)
DAMAGED_HINT = "its weights or its statistics may be damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPolicy:
    """A policy in evaluation mode, with its processors as LeRobot calls them."""

    policy: Any
    preprocessor: Any
    postprocessor: Any
    settings: Mapping[str, Any]
    """Its config.json."""
    device: str
    folder: Path | None = None
    """Folder of its files; None for one that was made here."""

    @property
    def renames(self) -> Mapping[str, str]:
        """The new name of each observation that its processors rename."""
        return next((dict(step.rename_map) for step in _list_rename_steps(self.preprocessor)), {})

    @property
    def kind(self) -> str:
        """Its type in LeRobot."""
        return str(self.settings.get("type", ""))

    def act(self, batch: Mapping[str, Any]) -> Any:
        """Return the actions for a batch of observations, in units of the dataset: a float32 tensor on the CPU."""
        import torch

        observations = {  # images: from bytes to numbers from 0 to 1, on the device
            name: value.to(self.device).float() / 255 if getattr(value, "dtype", None) is torch.uint8 else value
            for name, value in batch.items()
        }
        use_amp = bool(getattr(self.policy.config, "use_amp", False))
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, enabled=use_amp):
            return self.postprocessor(self.policy.select_action(self.preprocessor(observations))).float().cpu()


def load_policy(
    folder: Path,
    device: str,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    add: Callable[[Any, Path, str], Any] | None = None,
    renames: Mapping[str, str] | None = None,
) -> LoadedPolicy:
    """Load the policy in `folder`. Raise SystemExit with a sentence.

    :param overrides: options `--policy.NAME=VALUE`.
    :param base: the folder of the policy that it belongs to, if it is an adapter.
    :param add: what adds an adapter to its base, and returns the policy; by default `add_adapter`.
    :param renames: observations with another name for the policy, in place of those that it was saved with.
    """
    folder = policy_files.find_model_folder(folder)
    with _explain_load_errors(folder):
        settings = policy_files.load_policy_settings(folder)
        if problem := next(policy_files.find_torn_files(folder, with_processors=True), ""):
            raise ValueError(problem)
        kind = str(settings.get("type") or "")
        require_known_type(settings.get("type"), _import_config_class(kind).get_known_choices(), folder)
        config = _read_configuration(folder, device, overrides)
        config.pretrained_path = folder
        _forget_backbone(config)  # its own weights replace them; else they would be downloaded
        from lerobot.policies import factory

        preprocessor, postprocessor = factory.make_pre_post_processors(
            config, str(folder), preprocessor_overrides={"device_processor": {"device": device}}
        )
        if renames:
            _replace_renames(preprocessor, renames)
        policy = factory.get_policy_class(config.type).from_pretrained(base or folder, config=config)
        if problem := explain_missing_weights(policy, base or folder):
            raise ValueError(problem)
        if base:
            policy = (add or add_adapter)(policy, folder, device)
    return LoadedPolicy(
        policy=policy.eval(),
        preprocessor=preprocessor,
        postprocessor=postprocessor,
        settings=settings,
        device=device,
        folder=folder,
    )


def add_adapter(policy: Any, folder: Path, device: str) -> Any:
    """Return a policy whose layers compute with an adapter beside their weights. Raise ValueError, see below."""
    return attach_adapter(policy, folder, device).get_base_model()


def attach_adapter(policy: Any, folder: Path, device: str) -> Any:
    """Return PEFT's model of a policy and an adapter. Raise ValueError if the adapter lacks a part."""
    import peft
    from safetensors import safe_open

    adapted_policy = peft.PeftModel.from_pretrained(policy, str(folder), torch_device=device)
    weights = folder / policy_files.find_weights_file(folder)
    with safe_open(weights, framework="pt") as file:
        adapter_weights = peft.get_peft_model_state_dict(adapted_policy, save_embedding_layers=False)
        missing_parts = sorted(set(adapter_weights) - set(file.keys()))
    if missing_parts:
        raise ValueError(f"{weights} lacks parts of the adapter: {', '.join(missing_parts[:MOST_NAMED])}")
    return adapted_policy


def _list_rename_steps(preprocessor: Any) -> list[Any]:
    return [step for step in preprocessor.steps if isinstance(getattr(step, "rename_map", None), dict)]


def _replace_renames(preprocessor: Any, renames: Mapping[str, str]) -> None:
    """Let the policy's processors rename these observations. Raise ValueError with a sentence if they rename none."""
    steps = _list_rename_steps(preprocessor)
    if not steps:
        raise ValueError("--rename has no effect: the policy's processors have no step that renames observations")
    for step in steps:
        step.rename_map = dict(renames)


def make_untrained_policy(kind: str, root: Path, device: str, overrides: Sequence[str], seed: int) -> LoadedPolicy:
    """Make a policy with random weights for the dataset at `root`. Raise SystemExit with a sentence."""
    with _explain_load_errors(None):
        require_known_type(kind, _import_config_class(kind).get_known_choices(), "the untrained policy")
        config = _make_configuration(kind, device, overrides)
        _forget_backbone(config)
        import draccus
        from lerobot.datasets import LeRobotDatasetMetadata
        from lerobot.policies import factory
        from lerobot.utils.random_utils import set_seed

        meta = LeRobotDatasetMetadata(root.name, root=root)
        set_seed(seed)
        policy = factory.make_policy(config, ds_meta=meta)
        preprocessor, postprocessor = factory.make_pre_post_processors(
            config, dataset_stats=meta.stats, dataset_meta=meta
        )
        settings = draccus.encode(config, _import_config_class())
    return LoadedPolicy(
        policy=policy.eval(), preprocessor=preprocessor, postprocessor=postprocessor, settings=settings, device=device
    )


def check_policy_configuration(policy: str, *overrides: str) -> None:
    """Build the configuration of a policy, given its folder or its type. Raise SystemExit if LeRobot refuses it."""
    try:
        if Path(policy).is_absolute():
            _read_configuration(Path(policy), "cpu", overrides)
        else:
            _make_configuration(policy, "cpu", overrides)
    except options.ConfigurationRefused as refused:
        end_as_preflight(refused)


def _read_configuration(folder: Path, device: str, overrides: Sequence[str]) -> Any:
    with options.explain_parser_errors(overrides, CONFIGURATION_NAME):
        return _import_config_class().from_pretrained(folder, cli_overrides=_make_config_options(device, overrides))


def _make_configuration(kind: str, device: str, overrides: Sequence[str]) -> Any:
    import draccus

    config_class = _import_config_class().get_choice_class(kind)
    with options.explain_parser_errors(overrides, CONFIGURATION_NAME):
        return draccus.parse(config_class, args=_make_config_options(device, overrides))


@contextlib.contextmanager
def _explain_load_errors(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except options.ConfigurationRefused as refused:
        end_as_preflight(refused)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code == EXIT_PREFLIGHT:  # it has said why
            raise
        if sentence := explain_load_error(error, folder):
            raise WorkFailed(sentence) from error
        raise


def _make_config_options(device: str, overrides: Sequence[str]) -> list[str]:
    return [f"--device={device}", *(f"--{option.removeprefix(POLICY_OPTION)}" for option in overrides)]


def _forget_backbone(config: Any) -> None:
    if hasattr(config, BACKBONE_SETTING):
        setattr(config, BACKBONE_SETTING, None)


def _import_config_class(kind: str = "") -> Any:
    """Return the base class of policy configurations, with those of plugins registered. Raise SystemExit.

    :param kind: the type that is needed; empty if it is not known.
    """
    from lerobot import policies  # noqa: F401  registers LeRobot's own
    from lerobot.configs import PreTrainedConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    policy_packages.register_policies(kind)
    register_third_party_plugins()
    return PreTrainedConfig


def explain_load_error(error: BaseException, folder: Path | None) -> str:
    """Return what is wrong; empty for unknown errors. `folder`: of the policy; None for one that is made here."""
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    message = " ".join(message.split()) or type(error).__name__
    if missing_repository := run_setup.explain_missing_repository(error):
        return missing_repository
    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            return ""
        return f"LeRobot {versions.get_installed_name()} does not know one of the --policy. options: see the line above"
    if match := isinstance(error, ImportError) and INSTALL_ADVICE.match(message):
        return MISSING_PACKAGE.format(match[1])
    if isinstance(error, ImportError):
        return f"the policy needs a package that the run's environment lacks: {message}"
    if mismatch := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the weights in {folder} do not match the network in its config.json: {mismatch}"
    if type(error).__name__ in ("DecodingError", "ParsingError"):
        return f"LeRobot {versions.get_installed_name()} cannot read the policy's configuration: {message}"
    return message if isinstance(error, (OSError, ValueError, KeyError)) else ""


def explain_missing_weights(policy: Any, folder: Path) -> str:
    """Return a sentence when weights are missing: LeRobot silently leaves that part random."""
    from lerobot.policies.pretrained import PreTrainedPolicy
    from safetensors import safe_open

    loaders = ("from_pretrained", "_load_as_safetensor")
    if any(getattr(type(policy), name).__func__ is not getattr(PreTrainedPolicy, name).__func__ for name in loaders):
        return ""  # it renames weights when it loads them
    with safe_open(folder / policy_files.WEIGHTS_FILE, framework="pt") as file:
        saved_parts = set(file.keys())
    parameters = policy.state_dict()
    shared_pointers = {parameters[name].data_ptr() for name in saved_parts & parameters.keys()}
    missing_parts = [
        name for name in parameters if name not in saved_parts and parameters[name].data_ptr() not in shared_pointers
    ]
    if not missing_parts:
        return ""
    more_text = f" and {len(missing_parts) - MOST_NAMED} more" if len(missing_parts) > MOST_NAMED else ""
    return (
        f"{folder / policy_files.WEIGHTS_FILE} lacks parts of the network: "
        f"{', '.join(missing_parts[:MOST_NAMED])}{more_text}"
    )


def require_known_type(kind: object, known_types: Iterable[str], name: object) -> None:
    """Raise ValueError with a sentence unless LeRobot knows the type. `name`: of the policy."""
    types = sorted(known_types)
    if kind not in types:
        available_types = ", ".join(types)
        lerobot = f"LeRobot {versions.get_installed_name()}"
        raise ValueError(
            f"{name} has the policy type {kind}, which {lerobot} does not know; it knows {available_types}"
        )


def require_finite_action(action: Any, subject: str, location: str, reason: str = DAMAGED_HINT) -> None:
    """Raise SystemExit with a sentence for an action that is not finite. `location`: episode and frame."""
    action_values = action.tolist()
    if not all(map(math.isfinite, action_values)):
        raise WorkFailed(f"{subject} in {location} is not finite: {action_values}; {reason}")

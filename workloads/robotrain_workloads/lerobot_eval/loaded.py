"""A policy that can act: of any type that LeRobot loads, with what stands before and behind its network.

Runs inside the run's environment; LeRobot and PyTorch are imported only when a policy is asked for.
"""

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval import parsing, unknown_type, unloadable
from robotrain_workloads.lerobot_train import policy as files

BACKBONE = "pretrained_backbone_weights"
OPTION = "--policy."
CONFIGURATION = "the policy's configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A policy, in evaluation mode. before, behind: its processors, as LeRobot calls them with a batch and an action.

    settings: its config.json. folder: that of its files; None for one that was made here.
    """

    policy: Any
    before: Any
    behind: Any
    settings: Mapping[str, Any]
    device: str
    folder: Path | None = None

    @property
    def kind(self) -> str:
        """Its type, as LeRobot names it."""
        return str(self.settings.get("type", ""))

    def act(self, batch: Mapping[str, Any]) -> Any:
        """The actions for a batch of observations, in the units of the dataset: a tensor of float32 on the CPU."""
        torch: Any = importlib.import_module("torch")
        seen = {name: self._seen(value, torch) for name, value in batch.items()}
        mixed = bool(getattr(self.policy.config, "use_amp", False))
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, enabled=mixed):
            return self.behind(self.policy.select_action(self.before(seen))).float().cpu()

    def _seen(self, value: Any, torch: Any) -> Any:
        """Images are carried as bytes, and become numbers from 0 to 1 where the network computes."""
        return value.to(self.device).float() / 255 if getattr(value, "dtype", None) is torch.uint8 else value


def load(folder: Path, device: str, overrides: Sequence[str] = ()) -> Loaded:
    """The policy whose files lie there. overrides: `--policy.NAME=VALUE`. Raises SystemExit with a sentence."""
    folder = files.model(folder)
    with _told(folder):
        settings = files.settings(folder)
        if why := next(files.torn(folder, whole=True), ""):
            raise ValueError(why)
        unknown_type.refuse(settings.get("type"), _known().get_known_choices(), folder)
        with parsing.told(overrides, CONFIGURATION):
            config = _known().from_pretrained(folder, cli_overrides=_options(device, overrides))
        config.pretrained_path = folder
        _forget_backbone(config)  # its own weights take the place of those that would be downloaded
        before, behind = _processors(config, folder, device)
        policy = _factory().get_policy_class(config.type).from_pretrained(folder, config=config)
        if why := unloadable.incomplete(policy, folder):
            raise ValueError(why)
    return Loaded(policy=policy.eval(), before=before, behind=behind, settings=settings, device=device, folder=folder)


def untrained(kind: str, root: Path, device: str, overrides: Sequence[str], seed: int) -> Loaded:
    """A policy with random weights, made for the dataset at `root`. Raises SystemExit with a sentence."""
    draccus: Any = importlib.import_module("draccus")
    with _told(None):
        unknown_type.refuse(kind, _known().get_known_choices(), "the untrained policy")
        made = _known().get_choice_class(kind)
        with parsing.told(overrides, CONFIGURATION):
            config = draccus.parse(made, args=_options(device, overrides))
        _forget_backbone(config)
        meta = importlib.import_module("lerobot.datasets").LeRobotDatasetMetadata(root.name, root=root)
        importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
        policy = _factory().make_policy(config, ds_meta=meta)
        before, behind = _factory().make_pre_post_processors(config, dataset_stats=meta.stats, dataset_meta=meta)
        settings = draccus.encode(config, _known())
    return Loaded(policy=policy.eval(), before=before, behind=behind, settings=settings, device=device)


@contextlib.contextmanager
def _told(folder: Path | None) -> Iterator[None]:
    """What LeRobot raises becomes a sentence, where one is known."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if sentence := unloadable.sentence(error, folder):
            raise SystemExit(f"error: {sentence}") from error
        raise


def _processors(config: Any, folder: Path, device: str) -> tuple[Any, Any]:
    on = {"device_processor": {"device": device}}
    return tuple(_factory().make_pre_post_processors(config, str(folder), preprocessor_overrides=on))


def _options(device: str, overrides: Sequence[str]) -> list[str]:
    return [f"--device={device}", *(f"--{option.removeprefix(OPTION)}" for option in overrides)]


def _forget_backbone(config: Any) -> None:
    if hasattr(config, BACKBONE):
        setattr(config, BACKBONE, None)


def _factory() -> Any:
    return importlib.import_module("lerobot.policies.factory")


def _known() -> Any:
    """The class of all policies' configurations; those of plugins are known to it too."""
    importlib.import_module("lerobot.policies")
    importlib.import_module("lerobot.utils.import_utils").register_third_party_plugins()
    return importlib.import_module("lerobot.configs").PreTrainedConfig

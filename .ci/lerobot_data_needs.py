"""What a policy type of the installed LeRobot needs of a dataset: found by trying its own checks, and in its code."""

import contextlib
import dataclasses
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class

STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
PADDED = {STATE: ("max_state_dim",), ACTION: ("max_action_dim", "expected_max_action_dim")}
"""By feature, the options with the size that a type pads it to."""
CAMERA = "observation.image"
SIZES = {STATE: 8, ACTION: 7}
MOST_CAMERAS = 8
"""A type that takes so many cameras takes any number."""
OWN_SIZE = re.compile(r"resize_with_pad|\w*Processor\.from_pretrained|AutoProcessor|ImageProcessor")
RESIZE = re.compile(r"\bResize\(|\.resize\(|\binterpolate\(")
ABSENT = re.compile(r"for key in self\.config\.image_features if key in batch")


def make_default(config: type) -> Any:
    """Return a configuration of defaults, without what its class computes: some ask the Hub."""
    made = object.__new__(config)
    for field in dataclasses.fields(config):
        has_factory = field.default_factory is not dataclasses.MISSING
        object.__setattr__(made, field.name, field.default_factory() if has_factory else field.default)
    return made


class DataNeeds:
    """What a type needs of a dataset."""

    def __init__(self, name: str, config: type, sources: Mapping[str, str]) -> None:
        self.name, self.config = name, config
        self.options = {field.name for field in dataclasses.fields(config)}
        self.code = "\n".join(
            text for file, text in sources.items() if not Path(file).name.startswith("configuration_")
        )
        self.picture = (256, 256)

    def describe(self) -> dict[str, Any]:
        """Return what `index.json` says; a type whose checks need more than defaults says less."""
        found: dict[str, Any] = {}
        with contextlib.suppress(Exception):
            found["cameras"] = self._count_cameras()
        for name, probe in (
            ("environment_state", self._takes_environment_state),
            ("needs_state", self._needs_state),
            ("same_pictures", self._needs_same_pictures),
            ("square_pictures", self._needs_square_pictures),
            ("crop_option", self._find_crop_option),
            ("camera_options", self._list_camera_options),
            ("exact_sizes", self._find_exact_sizes),
            ("picture_sized", self._has_picture_sized_weights),
            ("reads_reward", lambda: bool(make_default(self.config).reward_delta_indices)),
            ("frames", self._count_frames),
            ("normalization", self._list_normalization),
            ("action_sizes", self._list_action_sizes),
        ):
            with contextlib.suppress(Exception):  # it needs what its class computes
                found[name] = probe()
        found["largest_sizes"] = dict(self._list_limits())
        found["resizes"] = self._resizes()
        found["takes_absent_cameras"] = ABSENT.search(self.code) is not None
        return {name: value for name, value in found.items() if value}

    def _accepts(
        self,
        pictures: list[tuple[int, int]],
        sizes: Mapping[str, int] = SIZES,
        options: Mapping[str, Any] | None = None,
    ) -> bool:
        """Return whether the type's own check takes these cameras, sizes of features and options."""
        config = make_default(self.config)
        for name, value in (options or {}).items():
            object.__setattr__(config, name, value)
        kinds = {STATE: FeatureType.STATE, WORLD: FeatureType.ENV, ACTION: FeatureType.ACTION}
        features = {name: PolicyFeature(type=kinds[name], shape=(size,)) for name, size in sizes.items()}
        config.output_features = {ACTION: features.pop(ACTION)}
        images = {
            f"observation.images.camera{index}": PolicyFeature(type=FeatureType.VISUAL, shape=(3, *picture))
            for index, picture in enumerate(pictures)
        }
        config.input_features = features | images
        try:
            config.validate_features()
        except ValueError:
            return False
        return True

    def _count_cameras(self) -> list[int | None]:
        """Return the fewest and the most cameras that the type takes beside a state; nothing if it takes any number."""

        def count_accepted() -> list[int]:
            height, width = self.picture
            counts = range(MOST_CAMERAS + 1)
            return [count for count in counts if self._accepts([(height, width // max(count, 1))] * count)]

        height, width = getattr(make_default(self.config), "image_size", None) or self.picture
        accepted = [count for count in range(MOST_CAMERAS + 1) if self._accepts([self.picture] * count)]
        if not accepted:  # pictures beside each other must have one size
            self.picture = (height, width)
            accepted = count_accepted()
        if not accepted:
            return []
        least, most = accepted[0], accepted[-1] if accepted[-1] < MOST_CAMERAS else None
        return [least, most] if least or most is not None else []

    def _takes_environment_state(self) -> bool:
        """Return whether the environment state can stand in for cameras."""
        return not self._accepts([]) and self._accepts([], {**SIZES, WORLD: 16})

    def _needs_state(self) -> bool | str:
        """Return whether its check requires the robot's state, or the option with which it does."""
        without = {ACTION: SIZES[ACTION]}
        if not self._accepts([self.picture]) or self._accepts([self.picture], without):
            return False
        default = make_default(self.config)
        for name in sorted(self.options):
            value = getattr(default, name)
            off = {name: False if value is True else None}
            if value in (True, SIZES[STATE]) and self._accepts([self.picture], without, off):
                return name
        return True

    def _needs_same_pictures(self) -> bool:
        height, width = self.picture
        one, other = (height, width), (height, 2 * width)
        return self._accepts([one, one]) and not self._accepts([one, other]) and self._accepts([other, other])

    def _needs_square_pictures(self) -> bool:
        return self._accepts([(256, 256)]) and not self._accepts([(256, 512)])

    def _find_crop_option(self) -> str:
        """Return the option with a size that has to fit in the pictures."""
        for name in sorted(name for name in self.options if "crop" in name):
            fits, exceeds = ({name: (side, side)} for side in (32, 4096))
            if self._accepts([self.picture], options=fits) and not self._accepts([self.picture], options=exceeds):
                return name
        return ""

    def _list_camera_options(self) -> dict[str, str | list[str]]:
        """Return the options that name a camera, or several, with those that they name by default."""
        default, found = make_default(self.config), {}
        for name in sorted(self.options):
            value = getattr(default, name)
            cameras = [value] if isinstance(value, str) else value
            if isinstance(cameras, list) and cameras and all(str(one).startswith(CAMERA) for one in cameras):
                found[name] = value
        return found

    def _find_exact_sizes(self) -> dict[str, str]:
        """Return the options with the only size that a feature may have."""
        default, found = make_default(self.config), {}
        for feature, size in SIZES.items():
            larger = {**SIZES, feature: size + 1}
            if not self._accepts([self.picture]) or self._accepts([self.picture], larger):
                continue
            for name in sorted(self.options):
                value = getattr(default, name)
                if type(value) is int and value == size and self._accepts([self.picture], larger, {name: size + 1}):
                    found[feature] = name
        return found

    def _has_picture_sized_weights(self) -> bool:
        """Return whether the network's weights depend on the size of the pictures, if nothing crops them."""
        shapes = []
        for side in (96, 128):
            config = self.config(device="cpu")
            for name in self.options:
                if name == "pretrained_backbone_weights" or "crop_shape" in name:
                    setattr(config, name, None)
            picture = PolicyFeature(type=FeatureType.VISUAL, shape=(3, side, side))
            state = PolicyFeature(type=FeatureType.STATE, shape=(SIZES[STATE],))
            config.input_features = {STATE: state, "observation.image": picture}
            config.output_features = {ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(SIZES[ACTION],))}
            with torch.device("meta"):
                network = get_policy_class(self.name)(config)
            shapes.append({name: tensor.shape for name, tensor in network.state_dict().items()})
        return shapes[0] != shapes[1]

    def _count_frames(self) -> int:
        """Return the frames of each camera in a sample, if they are not as many as `n_obs_steps`."""
        default = make_default(self.config)
        count = len(default.observation_delta_indices or [0])
        return 0 if count == getattr(default, "n_obs_steps", 1) else count

    def _list_normalization(self) -> dict[str, str]:
        """Return by kind of feature how it is normalized."""
        mapping = make_default(self.config).normalization_mapping
        return {str(kind): mode.value for kind, mode in mapping.items()}

    def _list_action_sizes(self) -> dict[str, int]:
        """Return by value of the option `action_mode` the size that an action has in it."""
        if "action_mode" not in self.options:
            return {}
        registry = importlib.import_module(f"{self.config.__module__.rpartition('.')[0]}.action_hub").ACTION_REGISTRY
        sizes = {name: getattr(space, "REAL_DIM", space.dim_action) for name, space in sorted(registry.items())}
        return {name: size for name, size in sizes.items() if isinstance(size, int) and size}

    def _list_limits(self) -> Iterator[tuple[str, str]]:
        """Yield features that the code pads to a size, with the options of the size."""
        for feature, options in PADDED.items():
            used = rf"(?<!{options[0]}=)\b(?:self|config)\.(?:expected_)?{options[0]}\b"
            if (option := next((name for name in options if name in self.options), "")) and re.search(used, self.code):
                yield feature, option

    def _resizes(self) -> bool:
        """Return whether it brings pictures to a size of its own, also without an option that asks for it."""
        default = make_default(self.config)
        is_asked = any("resize" in name and getattr(default, name) is None for name in self.options)
        return bool(OWN_SIZE.search(self.code) or (RESIZE.search(self.code) and not is_asked))

"""Which package a module comes from, and which module a misspelt name means, by names alone: nothing is imported."""

import re
import sys
from collections.abc import Collection, Iterable

from robotrain_workloads.command.missing_module import SHIPPED_MODULES

USUAL_MODULES = SHIPPED_MODULES | frozenset(
    {"flax", "gym", "h5py", "huggingface_hub", "hydra", "imageio", "jax", "lightning", "matplotlib", "mlflow", "mujoco"}
    | {"numpy", "omegaconf", "optuna", "pandas", "pinocchio", "pytorch_lightning", "robosuite", "scipy", "skrl"}
    | {"sklearn", "stable_baselines3", "tensorboard", "tensorflow", "torchaudio", "transformers", "wandb", "yaml"}
)
"""Modules that training programs import often."""
PACKAGES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv",
    "mpl_toolkits": "matplotlib",
    "pkg_resources": "setuptools",
    "pxr": "usd",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
"""Packages in whose names their module does not stand."""
INSTALLED_AS = {
    **PACKAGES,
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "hydra": "hydra-core",
    "pxr": "usd-core",
    "serial": "pyserial",
    "stable_baselines3": "stable-baselines3",
    "yaml": "pyyaml",
}
"""Packages that install a module of another name."""
MIN_LENGTH = 5
"""A shorter name may be another one."""
MIN_SHARED = 3


def find_meant_module(module: str, own_modules: Iterable[str]) -> str:
    """Return the module of which a name is certainly a misspelling; empty if it may be a name of its own.

    :param own_modules: those of the program itself.
    """
    own_modules = sorted(own_modules)
    candidates = sorted({*own_modules, *USUAL_MODULES, *sys.stdlib_module_names})
    misspelt = (candidate for candidate in candidates if _is_typing_error(module, candidate))
    other_number = (own for own in own_modules if module not in USUAL_MODULES and _is_other_number(module, own))
    return next(misspelt, "") or next(other_number, "")


def _is_other_number(name: str, meant: str) -> bool:
    """Return whether one is the plural of the other, such as `helpers` of `helper`."""
    return min(len(name), len(meant)) >= MIN_SHARED and (name == f"{meant}s" or meant == f"{name}s")


def _is_typing_error(name: str, meant_name: str) -> bool:
    """Return whether two letters are exchanged, or one is wrong, missing or too much, but for the last one.

    A last letter that is typed twice is too much, too.
    """
    if min(len(name), len(meant_name)) < MIN_LENGTH or name == meant_name or name[0] != meant_name[0]:
        return False
    if name == meant_name + meant_name[-1]:
        return True
    start = next(
        (index for index, (a, b) in enumerate(zip(name, meant_name, strict=False)) if a != b),
        min(len(name), len(meant_name)),
    )
    name_rest, meant_name_rest = name[start:], meant_name[start:]
    is_exchanged = (
        name_rest[:2] == meant_name_rest[1::-1] and len(name_rest) > 1 and name_rest[2:] == meant_name_rest[2:]
    )
    is_inside = bool(name_rest[1:] or meant_name_rest[1:])
    return (
        is_exchanged
        or (is_inside and meant_name_rest[1:] in (name_rest, name_rest[1:]))
        or (is_inside and name_rest[1:] == meant_name_rest)
    )


def comes_from(module: str, packages: Collection[str]) -> bool:
    """Return whether one of these packages probably has a module: its name has that of the other in it."""
    name = simplify(PACKAGES.get(module, module))
    simple_names = [simplify(package) for package in packages]
    return any(name in package or (len(package) >= MIN_SHARED and _is_part(package, name)) for package in simple_names)


def _is_part(package: str, module: str) -> bool:
    """Return whether a package's name is in that of a module; one letter more is another name, such as `einopsx`."""
    return package in module and len(module) - len(package) != 1


def simplify(name_text: str) -> str:
    """Return a name of a package or module, or a text of such, as it is compared: without `-`, `_` and `.`."""
    return re.sub(r"[-_.]", "", name_text).lower()

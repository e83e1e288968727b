"""A file of weights of torchvision, in the environment of the training: it is read, compared and put into its place."""

import os
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import hash_file

SAFE_SUFFIX = ".safetensors"
HEAD = "fc."
"""What the names of the classifier begin with. No policy has it, and torchvision asks for it."""
COUNTS = ".num_batches_tracked"
"""What a file of an old PyTorch lacks, and PyTorch adds."""
FILE_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")
"""What torchvision itself says of the SHA-256 of a file: its first digits."""


class WeightsError(ValueError):
    """Weights that cannot be used; the message is a sentence."""


def read_weights(file: Path) -> Mapping[str, Any]:
    """Return the weights of a file of torchvision (`.pth`) or safetensors; no code of it runs. Raise WeightsError."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        is_safe = file.suffix == SAFE_SUFFIX
        weights: Any = load_file(file) if is_safe else torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{file} cannot be read as weights: {reason}") from error
    if not isinstance(weights, Mapping):
        raise WeightsError(f"{file} holds no weights by name")
    return weights


def find_digest_problem(file: Path, name: str) -> str:
    """Return why a file is not torchvision's, by the digits that torchvision knows; empty if it is."""
    expected_digest = FILE_DIGEST.search(_get_weights(name).url)
    digest = hash_file(file)
    if expected_digest is None or digest.startswith(expected_digest[1]):
        return ""
    return f"{file} is not torchvision's {name}: its SHA-256 is {digest}, not {expected_digest[1]}…"


def place_weights(file: Path, name: str, *, is_given: bool) -> str:
    """Put a file where torchvision looks for its weights; return a warning about it. Raise OSError, WeightsError.

    A file that the user gives is read without running code of it, and saved again; what was downloaded is a link.

    :param name: the weights, such as `ResNet18_Weights.IMAGENET1K_V1`.
    """
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / _get_weights(name).url.rpartition("/")[2]
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    problem = find_digest_problem(file, name)
    if is_given:
        torch.save(_complete(read_weights(file), name, file), scratch)
    elif problem:
        raise WeightsError(problem)
    else:
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(file.absolute())
    scratch.replace(target)
    return f"{problem}: it is read as plain weights" if problem else ""


def _get_weights(name: str) -> Any:
    import torchvision

    try:
        return torchvision.models.get_weight(name)
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"torchvision {torchvision.__version__} has no weights {name}") from error


def _complete(weights: Mapping[str, Any], name: str, file: Path) -> dict[str, Any]:
    """Return the weights that a network of torchvision takes; a classifier of another size is left empty."""
    import torch
    import torchvision

    network = name.partition("_Weights")[0].lower()
    with torch.device("meta"):
        expected_weights = getattr(torchvision.models, network)(weights=None).state_dict()
    if wrong_names := list(_list_wrong(weights, expected_weights)):
        more_text = f" and {len(wrong_names) - 1} more" if wrong_names[1:] else ""
        raise WeightsError(f"{file} does not fit {network}: {wrong_names[0]}{more_text} is missing or of another size")
    empty = {name: torch.zeros(size.shape) for name, size in expected_weights.items() if name.startswith(HEAD)}
    return {
        name: weights[name] if getattr(weights.get(name), "shape", None) == size.shape else empty[name]
        for name, size in expected_weights.items()
        if name in weights or name in empty
    }


def _list_wrong(weights: Mapping[str, Any], expected_weights: Mapping[str, Any]) -> Iterator[str]:
    for name, tensor in expected_weights.items():
        is_optional = name.startswith(HEAD) or (name.endswith(COUNTS) and name not in weights)
        if not is_optional and getattr(weights.get(name), "shape", None) != tensor.shape:
            yield name

"""Export the policy of a checkpoint: `isaaclab.sh -p convert.py CHECKPOINT AGENT_YAML [FOLDER onnx jit]`.

Run by Isaac Lab's Python, without the simulator. Without a folder it only says whether the checkpoint can be exported.
With one it writes `policy.onnx` and `policy.pt` there, checks the TorchScript against the eager policy, and leaves
`samples.npz`: observations and the eager policy's actions, for the check of the ONNX file.
"""

import importlib
import os
import pickle
import runpy
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

PROBE = os.path.join(os.path.dirname(__file__), "..", "..", "isaac", "image", "probe.py")
OPSET = 18
SEED = 0
STEPS = 50
BATCHES = (1, 3, 64)
ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""The largest difference of an action that is taken for the same: `ABSOLUTE + RELATIVE * |action|`."""


def describe(checkpoint: str, agent_file: str) -> tuple[dict[str, Any], Any]:
    """Return what a checkpoint is, or the problem with it, and its actor."""
    actors = importlib.import_module("actor")  # beside this file
    try:
        backend, actor = actors.load_actor(checkpoint, agent_file)
    except actors.UnsupportedPolicyError as error:
        return {"problem": str(error)}, None
    except pickle.UnpicklingError:  # torch advises to load it all the same
        return {"problem": "it cannot be read as weights: it is damaged, or holds other objects"}, None
    except Exception as error:  # torch names each kind of damage in its own way
        first = " ".join(str(error).strip().splitlines()[:1])
        return {"problem": f"it cannot be read as weights: {type(error).__name__}: {first}"}, None
    rnn = type(actor.rnn).__name__ if actor.rnn is not None else ""
    return {"backend": backend, "observations": actor.observations, "actions": actor.actions, "rnn": rnn}, actor


def make_samples(actor: Any) -> Iterator[tuple[Any, Any]]:
    """Yield sequences of observations and the eager policy's actions: step, environment, value.

    Around what the normalizer knows, and far away, where it clamps.
    """
    import torch

    generator = torch.Generator().manual_seed(SEED)
    mean, scale = getattr(actor.normalizer, "mean", 0.0), getattr(actor.normalizer, "scale", 1.0)
    for batch in BATCHES:
        noise = torch.randn(STEPS, batch, actor.observations, generator=generator)
        spread = torch.rand(STEPS, 1, 1, generator=generator) * 6.0
        observations = torch.cat([mean + noise * scale * spread, noise], 0)
        states, actions = actor.make_states(batch), []
        for step in observations:
            result = actor(step, *states)
            action, states = (result[0], result[1:]) if states else (result, ())
            actions.append(action)
        yield observations, torch.stack(actions)


def compare(wanted: Any, found: Any) -> dict[str, Any]:
    """Return how far actions are from those of the eager policy, and whether they are the same."""
    numpy = importlib.import_module("numpy")
    difference = numpy.abs(numpy.asarray(found, "float64") - numpy.asarray(wanted, "float64"))
    share = difference / (ABSOLUTE + RELATIVE * numpy.abs(numpy.asarray(wanted, "float64")))
    finite = bool(numpy.isfinite(difference).all())
    return {
        "values": int(difference.size),
        "max_error": float(difference.max()) if finite else None,
        "max_share_of_tolerance": float(share.max()) if finite else None,
        "passed": finite and bool((share <= 1.0).all()),
    }


def export_jit(actor: Any, file: str, samples: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Write the TorchScript; return its comparison, after it was read from the file."""
    policy_modules = importlib.import_module("policy_modules")
    import torch

    policy_modules.make_script(actor).save(file)
    policy = torch.jit.load(file, map_location="cpu")
    found = []
    for observations, _ in samples:
        policy.reset()
        found.append(torch.stack([policy(step) for step in observations]))
    wanted = torch.cat([actions.flatten() for _, actions in samples])
    return compare(wanted.numpy(), torch.cat([actions.flatten() for actions in found]).numpy())


def export_onnx(actor: Any, file: str) -> None:
    """Write the ONNX graph as one file; every size of batch fits. Hidden states are inputs and outputs."""
    import torch

    states = [f"{name}_in" for name in actor.states]
    after = [f"{name}_out" for name in actor.states]
    axes = {name: {0: "batch"} for name in ("obs", "actions")} | {name: {1: "batch"} for name in (*states, *after)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a recurrent layer with any batch: its states are inputs, so it fits
        torch.onnx.export(
            actor,
            (torch.zeros(2, actor.observations), *actor.make_states(2)),
            file,
            opset_version=OPSET,
            dynamo=False,
            input_names=["obs", *states],
            output_names=["actions", *after],
            dynamic_axes=axes,
        )


def convert(checkpoint: str, agent_file: str, folder: str, formats: Sequence[str]) -> dict[str, Any]:
    """Write the files; return what the checkpoint is, with the comparison of the TorchScript."""
    import torch

    numpy = importlib.import_module("numpy")
    answer, actor = describe(checkpoint, agent_file)
    if actor is None:
        return answer
    os.makedirs(folder, exist_ok=True)
    with torch.inference_mode():
        samples = list(make_samples(actor))
    if "jit" in formats:
        with torch.no_grad():
            answer["jit"] = export_jit(actor, os.path.join(folder, "policy.pt"), samples)
    if "onnx" in formats:
        export_onnx(actor, os.path.join(folder, "policy.onnx"))
        arrays = {f"obs_{at}": one[0].numpy() for at, one in enumerate(samples)}
        arrays |= {f"actions_{at}": one[1].numpy() for at, one in enumerate(samples)}
        numpy.savez(os.path.join(folder, "samples.npz"), **arrays)
    return answer


if __name__ == "__main__":
    checkpoint, agent_file, *rest = sys.argv[1:]
    found = convert(checkpoint, agent_file, rest[0], rest[1:]) if rest else describe(checkpoint, agent_file)[0]
    runpy.run_path(PROBE)["print_answer"](found)

"""Merge an adapter into its base, in LeRobot's environment: `python -m robotrain_workloads.lerobot_merge.merger …`."""

import argparse
import functools
import importlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Checkpoint, emit_event

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.lerobot import adapter, loaded_policy, policy, warm_up
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE

DTYPE = "dtype"
WRITTEN_ANEW = (policy.CONFIG_FILE, policy.WEIGHTS_FILE, TRAIN_CONFIG_FILE.name, adapter.MODEL_CARD_FILE)
ADAPTER_FILES = (adapter.CONFIG_FILE, adapter.WEIGHTS_FILE, adapter.BASE_FILE)


def merge(folder: Path, base: Path, to: Path, *, float32: bool) -> None:
    """Write the policy that an adapter and its base are together to a new folder. Raise SystemExit with a sentence.

    :param folder: that of the adapter's model.
    :param float32: whether to write all weights so; else they have the number formats of the base.
    """
    add = functools.partial(merge_adapter, float32=float32)
    loaded = loaded_policy.load_policy(folder, "cpu", base=base, add=add)
    config, saved_settings = loaded.policy.config, loaded.settings
    config.use_peft, config.pretrained_path, config.device = False, None, saved_settings.get("device")
    if float32 and hasattr(config, DTYPE):
        config.dtype = "float32"
    with result_files.fill_folder(to) as scratch:
        loaded.policy.save_pretrained(scratch)
        for file in sorted(path for path in folder.iterdir() if path.is_file()):  # processors, and its history
            if file.name not in (*WRITTEN_ANEW, *ADAPTER_FILES):
                shutil.copyfile(file, scratch / file.name)
        _write_train_config(folder, scratch)


def merge_adapter(policy: Any, folder: Path, device: str, *, float32: bool) -> Any:
    """Return a policy with the numbers of an adapter added to its weights; the sums are computed in float32."""
    formats = {name: tensor.dtype for name, tensor in policy.state_dict().items()}
    adapted_policy = loaded_policy.attach_adapter(policy.float(), folder, device)
    merged_policy = adapted_policy.merge_and_unload(safe_merge=True)
    if not float32:
        for name, tensor in merged_policy.named_parameters():
            tensor.data = tensor.data.to(formats[name])
    return merged_policy


def _write_train_config(folder: Path, to: Path) -> None:
    """Write the configuration of the training, which tells the held-out episodes, as that of a whole policy."""
    path = folder / TRAIN_CONFIG_FILE.name
    if path.is_file():
        saved_config = json.loads(path.read_text("utf-8"))
        config_json = json.dumps(
            {
                **saved_config,
                "peft": None,
                "policy": {**(saved_config.get("policy") or {}), "use_peft": False, "pretrained_path": None},
            },
            indent=4,
        )
        (to / path.name).write_text(config_json, encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Merge. Raise SystemExit with a sentence."""
    parser = argparse.ArgumentParser(prog="merger", allow_abbrev=False)
    parser.add_argument("--adapter", type=Path, required=True, help="the folder of its model")
    parser.add_argument("--base", type=Path, required=True, help="the folder of the policy that it belongs to")
    parser.add_argument("--to", type=Path, required=True, help="the folder of the new checkpoint")
    parser.add_argument("--step", type=int, required=True, help="the step at which the adapter was saved")
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args(arguments)
    print(warm_up.LOADING, flush=True)
    with warm_up.quick_imports():
        importlib.import_module(loaded_policy.FACTORY)
    merge(options.adapter, options.base, options.to / policy.MODEL_FOLDER, float32=options.float32)
    emit_event(Checkpoint(step=options.step, path=str(options.to.absolute()), model=policy.MODEL_FOLDER))


if __name__ == "__main__":
    main(sys.argv[1:])

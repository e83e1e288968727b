"""The base of an adapter that is trained: where LeRobot reads it, and how the adapter's files name it."""

import functools
import importlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_workloads.lerobot import adapter
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.policy import MODEL_FOLDER


class BasePolicy:
    """A base, by its reference and by its folder on this machine."""

    def __init__(self, folder: Path, reference: str) -> None:
        """Begin to compute the digest of its weights. `reference`: the fields of a `Base`, as JSON."""
        self._folder = folder
        self._base = Base(**json.loads(reference))
        self._measuring = threading.Thread(target=self._measure, daemon=True)

    def install(self, trainer: ModuleType) -> None:
        """Let the trainer read the base from its folder, and save adapters that name it by its reference."""
        self._measuring.start()  # of gigabytes it takes a while, and is needed when the first checkpoint is saved
        _locate_base(self._folder)
        save = trainer.save_checkpoint
        vars(trainer)["save_checkpoint"] = functools.wraps(save)(functools.partial(self.save, save))

    def _measure(self) -> None:
        self._base = adapter.measure_base(self._base, self._folder)

    def save(self, save: Callable[..., Any], *, checkpoint_dir: Path, cfg: Any, **kwargs: Any) -> Any:
        """Save a checkpoint that names no folder of this machine as its base. Raise OSError."""
        if self._measuring.is_alive():
            self._measuring.join()
        if not self._base.sha256:  # the thread failed
            self._measure()
        path, cfg.policy.pretrained_path = cfg.policy.pretrained_path, None
        try:
            save_result = save(checkpoint_dir=checkpoint_dir, cfg=cfg, **kwargs)
        finally:
            cfg.policy.pretrained_path = path
        adapter.name_base(checkpoint_dir / MODEL_FOLDER, self._base)
        return save_result


def _locate_base(folder: Path) -> None:
    """Let PEFT's class of configurations name this folder as the base, whatever the files of an adapter say."""
    config_class = importlib.import_module("peft").PeftConfig
    original_loader = config_class.from_pretrained.__func__

    def load(cls: type, *args: Any, **kwargs: Any) -> Any:
        config = original_loader(cls, *args, **kwargs)
        config.base_model_name_or_path, config.revision = str(folder), None
        return config

    config_class.from_pretrained = classmethod(functools.wraps(original_loader)(load))

"""What a checkpoint does not say itself: its task, its framework, and the success rate that its model asks for.

isaac-train writes it beside the parameters; for a registered model the lineage file and the version's tags tell it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.document import JobSource

FACTS_FILE = "params/robotrain.json"
TASK, FRAMEWORK, THRESHOLD = "task", "framework", "success_threshold"
MODEL_TAGS = (TASK, FRAMEWORK, THRESHOLD)
LATEST = "/latest"
FRAMEWORKS = {"skrl": "skrl", "rsl_rl": "rsl_rl", "rsl-rl": "rsl_rl", "rslrl": "rsl_rl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """The facts about a checkpoint; empty or None if unknown."""

    task: str = ""
    framework: str = ""
    success_threshold: float | None = None


def get_address(source: JobSource) -> str:
    """Return the address of a checkpoint: for the latest version of a model, that of the version that it was."""
    is_latest = source.pin and source.uri.endswith(LATEST)
    return f"{source.uri.removesuffix(LATEST)}/{source.pin}" if is_latest else source.uri


def write_facts(folder: Path, task: str, framework: str) -> None:
    """Write the facts into the folder of a checkpoint."""
    (folder / "params").mkdir(parents=True, exist_ok=True)
    content = json.dumps({TASK: task, FRAMEWORK: framework}) + "\n"
    (folder / FACTS_FILE).write_text(content, encoding="utf-8")


def read_facts(file: Path, source: Path, cache: Path) -> CheckpointFacts:
    """Return the facts about a checkpoint's file, which came with a source; a version's tags count first."""
    known = list(_read_all(file, source, cache))

    def find_fact(name: str) -> str:
        return next((str(facts[name]) for facts in known if facts.get(name)), "")

    threshold = None
    with suppress(ValueError):
        threshold = float(find_fact(THRESHOLD))
    return CheckpointFacts(
        task=find_fact(TASK),
        framework=FRAMEWORKS.get(find_fact(FRAMEWORK).lower(), find_fact(FRAMEWORK)),
        success_threshold=threshold if threshold is not None and 0 <= threshold <= 1 else None,
    )


def find_params(file: Path) -> Path | None:
    """Return the agent's parameters that travel with a checkpoint; None if there are none."""
    places = (folder / "params" / "agent.yaml" for folder in file.parents[:2])
    return next((path for path in places if path.is_file()), None)


def _read_all(file: Path, source: Path, cache: Path) -> Iterator[Mapping[str, Any]]:
    yield model_lineage.read_model_tags(cache, source)
    for folder in file.parents[:3]:
        for name in (model_lineage.LINEAGE_FILE, FACTS_FILE):
            with suppress(OSError, ValueError):
                content = json.loads((folder / name).read_text(encoding="utf-8"))
                if isinstance(content, dict):
                    yield content

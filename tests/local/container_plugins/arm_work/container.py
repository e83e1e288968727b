"""A training whose policy names a backbone, of which it reads the tokenizer; its program prints what it was given."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.11", gib=0.1)
DESCRIBED = {"policy": ("config.json",)}
PROGRAM = "import sys; print('given:', sys.argv[1])"


def implied_sources(document: JobDocument, described: Mapping[JobSource, Path]) -> Mapping[str, Sequence[str]]:
    configs = [json.loads((folder / "config.json").read_text()) for folder in described.values()]
    return {"backbone": [name for config in configs for name in config["names"]]}


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    return ("tokenizer*", "*.json") if source.role == "backbone" else ()


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    files_by_source = {source.uri: sorted(path.name for path in folder.iterdir()) for source, folder in data.items()}
    return WorkCommand(arguments=("-c", PROGRAM, json.dumps(files_by_source, sort_keys=True)))


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="arm", run_name=document.run, params={}, tags={}, machine=False)

"""The folder in which the lines of the corpora are typed: datasets and policies by name.

`pusht-mini` (a state and the corners of the block), `pusht-camera` (a video), `two-cameras`, `reward` (a picture and
`next.reward`), `pusht-bags`, and `starts/TYPE`, a policy of each type of LeRobot, trained on one of them. What jobs
fail with: `old` (a dataset of LeRobot v2.1), `no-stats`, `notes` (a folder of something else), `starts/act-arm` (a
policy for seven joints).
"""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPORA, EXAMPLES = ROOT / "bench/corpora", ROOT / "examples"
FOLDERS = {
    "pusht-mini": EXAMPLES / "pusht-mini/dataset",
    "pusht-camera": EXAMPLES / "pusht-camera/dataset",
    "two-cameras": CORPORA / "datasets/two-cameras",
    "reward": CORPORA / "datasets/reward",
    "pusht-bags": EXAMPLES / "pusht-bags/bags",
}
STARTS = CORPORA / "starts"
PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


def make_world(folder: Path) -> Path:
    """Fill a new folder, and return it. The policies have their real configuration and no weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source_folder in FOLDERS.items():
        shutil.copytree(source_folder, folder / name)
    for path in sorted(STARTS.glob("*.json")):
        write_policy(folder / "starts" / path.stem, path.read_text())
    write_unfit(folder)
    return folder


def write_unfit(folder: Path) -> None:
    """Write what jobs fail with."""
    shutil.copytree(FOLDERS["pusht-mini"], folder / "no-stats", ignore=shutil.ignore_patterns("stats.json"))
    info = json.loads((FOLDERS["pusht-mini"] / "meta/info.json").read_text())
    (folder / "old/meta").mkdir(parents=True)
    (folder / "old/meta/info.json").write_text(json.dumps({**info, "codebase_version": "v2.1"}))
    (folder / "notes").mkdir()
    (folder / "notes/readme.txt").write_text("Cups, recorded in March.\n")
    settings = json.loads((STARTS / "act.json").read_text())
    for features in (settings["input_features"], settings["output_features"]):
        for name in ("observation.state", "action"):
            if name in features:
                features[name]["shape"] = [7]
    write_policy(folder / "starts/act-arm", json.dumps(settings))


def write_policy(folder: Path, settings: str) -> None:
    """Write a policy with this config.json."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(settings)
    for name in ("model.safetensors", "normalizer.safetensors"):
        (folder / name).write_bytes(make_tensor())
    steps = {"steps": [{"registry_name": "normalizer_processor", "state_file": "normalizer.safetensors"}]}
    for name in PROCESSORS:
        (folder / name).write_text(json.dumps({"name": name.partition(".")[0], **steps}))


def make_tensor() -> bytes:
    """Return a file of one tensor of eight bytes."""
    header = json.dumps({"weight": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)

"""A comparison as a process, with policies that act in PushT: what decides it, and one that was killed goes on."""

import json
import os
import shutil
import signal
import struct
import time
from pathlib import Path

import pytest
import untrained_policy
from eval_launcher import list_events, read_strict_json, start_launcher
from robotrain.store import records
from robotrain.store.files import read_json
from robotrain_local import spec
from robotrain_local.observe import find_run_folder
from robotrain_runtime.contract.event import Evaluated, Note
from small_training import read_lines_until

pytestmark = pytest.mark.slow
PUSHES, HIDES = (256, 256), (20, 20)
"""Where a policy goes whatever it sees: to the goal, with the block before it, or into a corner."""
EASY = {"env": "pusht", "starts": "easy", "env_steps": 40, "success_reward": 0.3, "env_workers": 0}


def aim(folder: Path, to: Path, place: tuple[int, int], spread: float) -> Path:
    """A copy of a policy whose actions are always the same place. `spread`: too small to change one, or 0."""
    shutil.copytree(folder, to)
    file = to / "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    content = bytearray(file.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    for name, values in (("action.mean", place), ("action.std", (spread, spread))):
        at = begin + header[name]["data_offsets"][0]
        content[at : at + 8] = struct.pack("<2f", *values)
    file.write_bytes(content)
    return to


@pytest.fixture(scope="module")
def policies(made_once) -> Path:
    """The folders of two that push and one that hides."""

    def make(folder):
        untrained_policy.save(folder)
        for name, place, spread in (("pushes", PUSHES, 0.0), ("also-pushes", PUSHES, 1e-30), ("hides", HIDES, 0.0)):
            aim(folder / "policy", folder / name, place, spread)

    return made_once("compared", make)


def wait(process) -> list[str]:
    lines = process.communicate(timeout=300)[0].splitlines()
    assert process.returncode == 0, "\n".join(lines)
    return lines


def read_comparison(work: Path):
    return read_strict_json(work / "outputs/eval_results/comparison.json")


def test_a_policy_that_pushes_is_better_than_one_that_hides_after_few_episodes(policies, tmp_path):
    references = [policies / "hides", policies / "also-pushes"]
    parameters = {"policy": policies / "pushes", "references": references, "eval_episodes": 10, "at_most": 20}
    lines = wait(start_launcher(tmp_path, **EASY, **parameters))
    compared = read_comparison(tmp_path)
    better, like = compared["verdicts"]
    assert (better["verdict"], better["losses"]) == ("better", 0)
    assert (like["verdict"], like["ties"]) == ("not decided", 20), "equal starts and seeds: the same episodes"
    assert compared["policies"][0]["latency_ms"]["p50"] > 0
    assert compared["conditions"]["packages"].keys() >= {"lerobot", "gym-pusht", "torch"}
    (evaluated,) = list_events(lines, Evaluated)
    assert evaluated.episodes == 20
    notes = [note.text for note in list_events(lines, Note)]
    assert sum("key points" in text for text in notes) == 1, "said once, not each round"


@pytest.mark.long
@pytest.mark.usefixtures("cold")
def test_the_same_line_after_a_kill_ends_as_if_there_had_been_none(robotrain, policies):
    line = [
        "submit",
        "lerobot-eval",
        "--policy-path",
        policies / "pushes",
        "--reference-path",
        policies / "also-pushes",
    ]
    line += ["--platform", "local", "--device", "cpu"]
    line += ["--eval-episodes", 4, "--at-most", 12, "--json"]
    line += [word for name, value in EASY.items() for word in (f"--{name.replace('_', '-')}", value)]
    killed = find_run_folder(records.read_record(robotrain(*line).json["run"]).reference)
    until = time.monotonic() + 300
    while not (killed / "outputs/.eval_comparison/002-0").exists():
        assert time.monotonic() < until, (killed / "log.txt").read_text()
        time.sleep(0.05)
    os.killpg(read_json(killed / spec.SUPERVISOR_FILE)["pid"], signal.SIGKILL)
    again = robotrain(*line, "--wait")
    again.check_problems(0, "run-left-parts")
    found = robotrain("compare", "latest", "--json").json
    robotrain(*line, "--wait", "--new", "--earlier-comparisons", "none")
    assert strip_measurements(found) == strip_measurements(robotrain("compare", "latest", "--json").json)
    results = find_run_folder(records.read_record(records.list_runs()[1]).reference)
    assert (results / "log.txt").read_text().count("was evaluated before") == 3


def strip_measurements(compared):
    """A comparison without what differs on a machine from one time to the next, and what it says of others."""
    measured = dict.fromkeys(("latency_ms", "peak_memory_mib"))
    return {**compared, "notes": [], "policies": [{**policy, **measured} for policy in compared["policies"]]}


@pytest.mark.long
def test_a_comparison_that_was_killed_goes_on_where_it_stopped(policies, tmp_path):
    parameters = {"policy": policies / "pushes", "references": [policies / "also-pushes"], "eval_episodes": 4}
    parameters |= {"at_most": 12, "eval_batch_size": 4, **EASY}
    process = start_launcher(tmp_path, **parameters)
    list(read_lines_until(process, "round 1: 4 pairs"))
    list(read_lines_until(process, '"step": 15,'))  # the other policy, within the second round
    process.kill()
    process.communicate()
    parts = tmp_path / "outputs/.eval_comparison"
    before = {path: path.stat().st_mtime_ns for path in parts.glob("*/eval_results.json")}
    assert len(before) == 3, "two of the first round, one of the second"
    lines = wait(start_launcher(tmp_path, **parameters))
    assert {path: path.stat().st_mtime_ns for path in before} == before, "nothing is played twice"
    assert sum("was evaluated before" in note.text for note in list_events(lines, Note)) == 3
    (verdict,) = read_comparison(tmp_path)["verdicts"]
    assert (verdict["pairs"], verdict["ties"]) == (12, 12)

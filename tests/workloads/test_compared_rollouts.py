"""A comparison as a process, with policies that act in PushT: what decides it, and one that was killed goes on."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import untrained_policy
from eval_launcher import list_events, read_strict_json, start_launcher
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

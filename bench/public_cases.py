"""Inputs that people really have, after public reports: whether robotrain answers each with its right word.

    ./uvw run python bench/public_cases.py [--quick] [--only SECTION] [--print]

The cases lie in bench/cases, with the right word of each in expected.toml: lines of lerobot-train and of launchers, of
Isaac Lab, programs that fail, bags, datasets. A dataset that is answered wrongly today is listed there as `open`, by
name. The exit code is 1 if any other case is wrong, or if an open one is right. `--print` prints each word.
"""

import argparse
import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import environments
import rows
import tomllib
from rows import ROBOTRAIN, Row

CASES = Path(__file__).with_name("cases")
GOOD_DATASET = Path(__file__).parents[1] / "examples/pusht-camera/dataset"
LOCK = "lerobot_versions/v0_6_1/train.txt"
DRY_RUN = ("submit", "--platform", "local", "--dry-run", "--no-pin", "--json")
TOPICS = ("--image-topics", "/camera/image_raw", "--state-topic", "/joint_states")
QUICK = 10
Answers = Iterator[tuple[str, Callable[[], str]]]
"""The name of each case, and what asks for its word."""


def make_parser(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--only", choices=SECTIONS, help="one kind of cases")
    parser.add_argument("--print", action="store_true", help="print each word, right or wrong")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Count the wrong words of each kind of cases."""
    with open(CASES / "expected.toml", "rb") as file:
        expected = tomllib.load(file)
    for section in [options.only] if options.only else SECTIONS:
        with tempfile.TemporaryDirectory() as place:
            asked = dict(SECTIONS[section](Path(place)))
            names = list(asked)[:: QUICK if options.quick else 1]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                words = dict(zip(names, pool.map(lambda name: asked[name](), names), strict=True))  # noqa: B023
        is_open = set(expected["open"].get(section, []))
        wrong = {name for name, word in words.items() if word != expected[section].get(name)}
        for name, word in words.items():
            if options.print:
                print(section, json.dumps(name), "=", json.dumps(word, ensure_ascii=False), file=sys.stderr)
            elif name in wrong ^ (is_open & set(words)):
                rows.log(f"{section} {name}: {word or 'nothing'}\n    right: {expected[section].get(name)}")
        unknown = set() if options.quick else set(expected[section]) ^ set(words)
        yield Row(
            name=f"{len(words)} {section}: answered wrongly",
            ours=len(wrong - is_open | unknown),
            unit="cases",
            ceiling=0,
        )
        if is_open:
            mended = (is_open & set(words)) - wrong
            yield Row(
                name=f"{section} that are open: {len(is_open & wrong)}; right by now",
                ours=len(mended),
                unit="cases",
                ceiling=0,
            )


def ask_lines(place: Path) -> Answers:
    """Yield lines for `from-lerobot`: the line that it prints, if `render` takes that, or the options it refuses."""
    for row in (CASES / "lines.txt").read_text().splitlines():
        name, _, line = row.partition("|")
        if not row.startswith("#") and row:
            words = [line[1:-1] if line.startswith("'") and line.endswith("'") else line]
            yield name, lambda words=words: _translate(words, place)


def _translate(words: list[str], place: Path) -> str:
    code, answer = _ask(("from-lerobot", "--json", "--", *words), place)
    if code:
        return _name_problems(answer)
    command = [word.replace("@COMMIT", f"@{0:040}") for word in answer["command"][2:]]
    code, rendered = _ask(("render", "--json", *("local" if word == "PLATFORM" else word for word in command)), place)
    if code not in (0, 3):  # 3: another platform can
        return f"not rendered: {_name_problems(rendered)}"
    return shlex.join(answer["command"][2:]).replace("--platform PLATFORM ", "")


def ask_isaac(place: Path) -> Answers:
    """Yield arguments of `isaac-train`: `valid`, or the codes and options of what is refused."""
    for row in (CASES / "isaac-lines.txt").read_text().splitlines():
        if row:
            words = (
                "render",
                "isaac-train",
                "--platform",
                "local",
                "--json",
                *shlex.split(row),
            )  # no simulator is here
            yield row, lambda words=words: _judge(*_ask(words, place))


def ask_failures(place: Path) -> Answers:
    """Yield programs that fail: the fault, the cause and its subject in `status`, which has a remedy for each fault."""
    tree = ast.parse((CASES / "fail.py").read_text())
    named = next(
        one.value for one in tree.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "CASES"
    )
    assert isinstance(named, ast.Dict)
    for name in (*(one.value for one in named.keys if isinstance(one, ast.Constant)), "sigkill"):
        yield name, lambda name=name: _fail(name, place)


def _fail(name: str, place: Path) -> str:
    run = f"case-{name.replace('_', '-')}"
    program = ("--", sys.executable, str(CASES / "fail.py"), name)
    _ask(("submit", "command", "--platform", "local", "--name", run, "--wait", "--json", *program), place)
    _, answer = _ask(("status", run, "--json"), place)
    run_of = answer["runs"][0] if "runs" in answer else answer
    if run_of["state"] == "succeeded":
        return "succeeded"
    remedy = "" if run_of["remedy"] or run_of["fault"] in ("", "code") else " without a remedy"
    return f"{run_of['fault']} {run_of['cause']} {run_of['subject']}".strip() + remedy


def ask_bags(place: Path) -> Answers:
    """Yield bags: `valid`, or `refused`, by `bags inspect` and by a dry run alike."""
    subprocess.run([sys.executable, CASES / "make_bags.py", place / "bags"], check=True, stdout=subprocess.DEVNULL)
    for folder in sorted((place / "bags").iterdir()):
        yield folder.name, lambda folder=folder: _inspect(folder, place)


def _inspect(folder: Path, place: Path) -> str:
    one, config = place / "alone" / folder.name, place / f"{folder.name}.yaml"
    shutil.copytree(folder, one / folder.name)
    chunk = ("--chunk-size", "10")
    inspected, shown = _ask(("bags", "inspect", str(one), *chunk, "--write-config", str(config), "--json"), place)
    has_topics = bool(shown.get("settings", {}).get("image_topics"))
    words = ("--config", str(config)) if has_topics else (*TOPICS, *chunk)
    code, answer = _ask((*DRY_RUN, "rosbag-act-train", "--dataset-path", str(one), *words), place)
    if bool(inspected) != bool(code):
        return f"inspect {inspected} {shown}, dry run {code}: {_judge(code, answer)}"
    return "refused" if code else "valid"


def ask_datasets(place: Path) -> Answers:
    """Yield datasets: `valid` or `refused` by a dry run of a training."""
    python = environments.find_python(LOCK)
    command = [python, CASES / "make_datasets.py", GOOD_DATASET, place / "sets"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for folder in sorted((place / "sets").iterdir()):
        words = (
            "--policy-type",
            "act",
            "--dataset-path",
            str(folder),
            "--",
            "--policy.pretrained_backbone_weights=null",
        )
        yield folder.name, lambda words=words: _judge(*_ask((*DRY_RUN, *words), place)).partition(":")[0]


def _judge(code: int, answer: Any) -> str:
    return _name_problems(answer) if code else "valid"


def _name_problems(answer: Any) -> str:
    problems = [one for one in answer["problems"] if one["severity"] == "error"]
    return "refused: " + ", ".join(sorted({" ".join(filter(None, (one["where"], one["code"]))) for one in problems}))


def _ask(words: tuple[str, ...], place: Path) -> tuple[int, Any]:
    """Type a line; return its exit code and the JSON that it printed."""
    away = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ROBOTRAIN_"))}
    environ = {**away, "ROBOTRAIN_STATE": str(place / "state"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [ROBOTRAIN, *words],
        cwd=place,
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"problems": [{"severity": "error", "where": "", "code": done.stderr.strip()[-200:]}]}


SECTIONS: dict[str, Callable[[Path], Answers]] = {
    "lines": ask_lines,
    "isaac": ask_isaac,
    "failures": ask_failures,
    "bags": ask_bags,
    "datasets": ask_datasets,
}


def main() -> int:
    """Run the benchmark."""
    return rows.run(measure, __doc__, make_parser)


if __name__ == "__main__":
    sys.exit(main())

"""Command lines and what they come to: frozen in a file and compared with it, or typed in two checkouts.

    ./uvw run python bench/compare_lines.py --freeze FILE           writes a line of JSON for each command line
    ./uvw run python bench/compare_lines.py --frozen FILE           which facts of which lines differ from the file
    ./uvw run python bench/compare_lines.py OTHER_CHECKOUT [--text]     how they differ; --text: and what is printed
    [--only WORD] [--jobs 2]

The facts of a line: its exit code; its problems, by code and place; if it ends well, what `explain --json` and
`render --json` say of its job and which files the plan sends, or for other commands their own --json. Wording, sizes,
digests and names of modules do not count, so a change that no user sees changes nothing but the listing. Codes of a
file are read through frozen/codes.toml. Each line of lines.txt and engine_lines.txt is typed in a new folder with the
example's data, without a network, with recorded engines (engines/) and a state folder of its own. OTHER_CHECKOUT has
an environment in `.venv` (`./uvw sync`). Exits 1 when a line differs.
"""

import argparse
import difflib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import quick_command
import tomllib

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
ENGINES = BENCH / "engines"
SECONDS = 180.0
FACTS = ("exit", "problems", "explain", "plan", "document", "listing", "output", "words")
"""A file has the first two in full, and digests of the others."""
REPLACEMENTS = (
    (r"\d+(\.\d+)? (s|ms|min)\b", "TIME"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "DATE"),
    (r"\b1[789]\d{8}(\.\d+)?\b", "SINCE-1970"),
    (r"/tmp/[\w.-]+", "FOLDER"),
    (r"(?<=-)[0-9a-f]{8}(?=-\d+\b)", "JOB"),
    (r"(?<!sha256:)\b([0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})\b", "DIGEST"),  # of robotrain's own code
    (r'\b\d{6,7} bytes|"bytes": \d{6,7}\b', "BYTES"),
    (r"[A-Za-z0-9+/=]{1000,}", "PACKED"),
    (r"\brobotrain_\w+(\.\w+)+", "MODULE"),
)
OWN_PROGRAM = r"(?m)\|-\n( +).*\n(\1.*\n|\n)*|^#(search|program|archive) .*\n"
"""Lines of a specification that are robotrain's own."""
UNSEEN = {"bytes", "size", "sha256", "digest", "halves", "container_plugins", "module", "payload", "problems"}
"""Keys of JSON whose values are of robotrain's own code."""
WORDS = {"reason", "instead", "description", "title", "remedy", "why", "remarks", "notes", "warnings", "next"}
"""Keys of JSON whose values are sentences."""
SEND_ONLY = r" --(dry-run|no-pin|pin|json|(to|save-as) \S+)(?= |$)"
"""Options that say what to do with a job, not which."""
CODE = r"(?m)^(?:error|warning|note): .*\[([a-z\d-]+)\]$"
Facts = dict[str, str]
format_json = partial(json.dumps, indent=1, sort_keys=True)


def main() -> int:
    """Freeze or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("other", type=Path, nargs="?", help="the checkout to compare with")
    way.add_argument("--freeze", type=Path, metavar="FILE")
    way.add_argument("--frozen", type=Path, metavar="FILE")
    parser.add_argument("--text", action="store_true", help="compare stdout and stderr, too")
    parser.add_argument("--without", choices=FACTS, action="append", default=[], help="a fact that does not count")
    parser.add_argument("--only", default="", metavar="WORD", help="only lines with this word")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    lines = [line for line in read_lines() if options.only in line]
    frozen = read_frozen(options.frozen) if options.frozen else {}
    checkouts = [options.other.resolve(), ROOT] if options.other else [ROOT]
    names = [name for name in (*FACTS, *("stdout", "stderr") * options.text) if name not in options.without]
    number = 0
    with ThreadPoolExecutor(options.jobs) as pool, (options.freeze or Path(os.devnull)).open("w") as file:
        fact_lists = pool.map(partial(find_all_facts, checkouts, options.text), lines)
        for line, (*other, own) in zip(lines, fact_lists, strict=True):
            if options.freeze:
                print(json.dumps({"line": line} | shorten(own)), file=file, flush=True)
            elif other:
                number += print_differences(line, other[0], own, names)
            else:
                number += print_differences(line, frozen.get(line, {}), shorten(own), names)
    print(f"{len(lines)} lines, {number} differ")
    if options.frozen and number:
        print("to see how: bench/compare_lines.py CHECKOUT_OF_THE_FROZEN_COMMIT --only WORD")
    return int(number > 0)


def read_lines() -> list[str]:
    """Return the command lines."""
    robotrain, engines = ((BENCH / name).read_text().splitlines() for name in ("lines.txt", "engine_lines.txt"))
    lines = [f"robotrain {line}" if line and line[0] != "#" else "" for line in robotrain] + engines
    return [*dict.fromkeys(line for line in lines if line and line[0] != "#")]


def read_frozen(path: Path) -> dict[str, Facts]:
    """Return the facts of each line of a file, with the codes of today."""
    codes = tomllib.loads((BENCH / "frozen/codes.toml").read_text())
    frozen = {facts.pop("line"): facts for facts in map(json.loads, path.read_text().splitlines())}
    for facts in frozen.values():
        problems = re.sub(r"(?m)^\S+", lambda code: codes.get(code[0], code[0]), facts["problems"])
        facts["problems"] = "\n".join(sorted({*problems.splitlines()}))
    return frozen


def shorten(facts: Facts) -> Facts:
    """Return what a file keeps of a line."""
    digests = {name: hashlib.sha256(facts[name].encode()).hexdigest()[:12] for name in FACTS[2:] if facts.get(name)}
    return {name: facts[name] for name in FACTS[:2]} | digests


def find_all_facts(checkouts: list[Path], is_text: bool, line: str) -> list[Facts]:
    """Return the facts of a line in each checkout, one after the other in the same folder: paths are part of names."""
    top = Path(tempfile.gettempdir()).resolve() / "robotrain-lines" / hashlib.sha256(line.encode()).hexdigest()[:12]
    top.mkdir(parents=True, exist_ok=True)
    with top.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return [find_facts(checkout, top, line, is_text) for checkout in checkouts]
        finally:
            shutil.rmtree(top, ignore_errors=True)


def find_facts(checkout: Path, top: Path, line: str, is_text: bool) -> Facts:
    """Return the facts that a line has."""
    type_line = cache(partial(run, checkout, top))
    for typed_line in (add_json(line), line):  # without, if the command takes none
        answer = type_line(typed_line)
        values = read_json(answer.stdout)
        problems = {f"{code} {where}".strip() for value in values for code, where in find_problems(value)}
        if not any(problem.endswith(" --json") for problem in problems):
            break
    problems |= set(re.findall(CODE, answer.stderr)) - {problem.split()[0] for problem in problems}
    facts, words = {"exit": str(answer.returncode), "problems": "\n".join(sorted(problems))}, list[str]()
    if not answer.returncode and (job := find_job(line)) is not None:
        explained = read_json(type_line(add_json(f"robotrain explain{job}")).stdout)
        rendered = read_json(run(checkout, top, add_json(f"robotrain render{job}", "--json --to plan")).stdout)
        facts["listing"] = "\n".join(sorted({*list_payload(top / "here/plan")}))
        explained, rendered = clean(explained, words), clean(rendered, words)
        files = [plan.get("files", {}) for plan in rendered]
        documents = [each.pop(path) for each in files for path in [*each] if path.endswith("job.json")]
        facts |= {"explain": format_json(explained), "plan": format_json(rendered), "document": format_json(documents)}
    else:
        facts["output"] = format_json([cleaned for cleaned in clean(values, words) if cleaned])
    facts["words"] = "\n".join(words)
    if is_text:
        facts |= {"stdout": type_line(line).stdout, "stderr": type_line(line).stderr}
    return {name: normalize(text, checkout, top) for name, text in facts.items()}


def run(checkout: Path, top: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Type a line in a new folder."""
    shutil.rmtree(top)
    (top / "engine/bin").mkdir(parents=True)
    osmo = top / "engine/bin/osmo"
    osmo.write_text(quick_command.make_executable("osmo", ENGINES, top / "engine"))
    osmo.chmod(0o755)
    shutil.copytree(ROOT / "examples/pusht-mini", top / "here")
    environ = {
        "PATH": f"{checkout}/.venv/bin:{ENGINES}:/usr/bin:/bin",
        "HOME": f"{top}/home",
        "ENGINE": f"{top}/engine",
        "ROBOTRAIN_STATE": f"{top}/state",
        "ROBOTRAIN_CACHE": f"{top}/cache",
        "ROBOTRAIN_CHECKER": "none",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "COLUMNS": "100",
        "LANG": "C.UTF-8",
    }
    shell = ["bash", "-c", f". {ENGINES}/prelude.sh\n{line}"]
    try:
        return subprocess.run(shell, cwd=top / "here", env=environ, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(shell, 124, "", "")


def add_json(line: str, words: str = "--json") -> str:
    """Return a line that asks for JSON."""
    before, dashes, after = line.partition(" -- ")
    return line if f" {words}" in before else f"{before} {words}{dashes}{after}"


def find_job(line: str) -> str | None:
    """Return the words of the job that a plain line submits, renders or explains."""
    match = re.match(r"robotrain (?:submit|render|explain)( [^;&|<>$`()]*)$", line)
    return None if match is None or " --help" in line else re.sub(SEND_ONLY, "", match[1])


def read_json(text: str) -> list[Any]:
    """Return the value that a text ends with, or those of its lines; nothing if there is none."""
    start = re.search(r"(?m)^[\[{]", text)
    text = text[start.start() :] if start else ""
    for texts in ([text], text.splitlines()):
        with suppress(ValueError):
            return [json.loads(json_text) for json_text in texts]
    return []


def find_problems(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the code and place of each problem anywhere in a value."""
    if isinstance(value, dict) and {*value} >= {"code", "where", "title"}:
        yield value["code"], value["where"]
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from find_problems(child)


def clean(value: Any, words: list[str]) -> Any:
    """Return a value without what no user sees, without problems, and without sentences, which are added to `words`."""
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, list):
        return [clean(child, words) for child in value]
    if isinstance(value, dict):
        words += [f"{name}: {child}" for name, child in value.items() if name in WORDS and child]
        return {name: clean(child, words) for name, child in value.items() if name not in UNSEEN | WORDS}
    return re.sub(OWN_PROGRAM, "", value).splitlines() if isinstance(value, str) and "\n" in value else value


def list_payload(plan: Path) -> Iterator[str]:
    """Yield the files of a plan, and those in its archives."""
    for name in (str(path.relative_to(plan)) for path in plan.rglob("*") if path.is_file()):
        packed = zipfile.ZipFile(plan / name).namelist() if name.endswith(".zip") else []
        yield from (name, *(f"{name}/{member}" for member in packed))


def normalize(text: str, checkout: Path, top: Path) -> str:
    """Return a text without what differs from run to run."""
    text = text.replace(str(top), "FOLDER").replace(str(checkout), "CHECKOUT").replace(str(ROOT), "CHECKOUT")
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def print_differences(line: str, other: Facts, own: Facts, names: list[str]) -> bool:
    """Print how the facts of a line differ, at most 40 lines of each, and return whether they do."""
    changed = [name for name in names if other.get(name, "") != own.get(name, "")]
    if changed:
        print(f"\n$ {line}")
    for name in changed:
        texts = (facts.get(name, "").splitlines() for facts in (other, own))
        changes = [
            change
            for change in difflib.unified_diff(*texts, lineterm="", n=0)
            if change[:3] not in ("---", "+++", "@@ ")
        ]
        more = [f"… {len(changes) - 40} more"] if len(changes) > 40 else []
        print(*(f"  {name} {change[:200]}" for change in changes[:40] + more), sep="\n", flush=True)
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())

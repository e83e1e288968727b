"""Break product lines, one at a time, and see whether a test notices: what survives is a hole in the tests.

    ./uvw run python bench/planted_breaks.py draw --seed 46 --commit 7d161774
    ./uvw run python bench/planted_breaks.py run --results bench/planted_breaks/after.jsonl --slow
    ./uvw run python bench/planted_breaks.py run --commit 7d161774 --results bench/planted_breaks/before.jsonl --slow \\
        --survivors-of bench/planted_breaks/after.jsonl
    ./uvw run python bench/planted_breaks.py compare bench/planted_breaks/{before,after}.jsonl

`draw` takes lines of the product at random, and one break of each. `run` never touches this checkout: each of its
`--jobs` has a worktree of the commit in `--folder`, with an environment of its own. It runs the fast tests once under
coverage, with the processes that they start. Then it runs for each break the tests that reach it, those first that
reach least, up to the first that fails; with `--slow`, for what is left, the slow tests that name the broken module. A
test that fails without the break too does not count. `run` goes on where it stopped. `compare` exits 1 when something
survived after that was killed before; what was killed after need not be tried before, and of a line that is gone
nothing can be said. What `--limit` cut off is "unfinished", and tried again by the next `run`.
"""

import argparse
import ast
import collections
import contextlib
import faulthandler
import importlib.util
import itertools
import json
import os
import queue
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIST = ROOT / "bench/planted_breaks/breaks.jsonl"
PACKAGES = {  # of the product, each with the folders of the tests that run its code
    "core": ("core", "cli", "local", "parity"),
    "runtime": ("runtime", "local"),
    "sources": ("sources", "azure", "local"),
    "workloads": ("workloads", "local"),
    "plugins/local": ("local", "parity"),
    "plugins/azure": ("azure", "azureml", "osmo"),
    "plugins/azureml": ("azureml", "parity"),
    "plugins/osmo": ("osmo", "parity"),
    "plugins/slurm": ("slurm", "parity"),
}
NOT_DRAWN = re.compile(r"robotrain/testing/|plugin_templates/|/examples/|secret_shapes\.py|weights_table\.py")
COMPARISONS = {"==": "!=", "<": ">=", ">": "<=", "in": "not in", "is": "is not"}
OPERATORS = {"and": "or", "or": "and", "-": "+", "*": "+"} | COMPARISONS | {b: a for a, b in COMPARISONS.items()}
FIRST_BATCH, ONE_TEST = 150, 120  # tests of the first process for a break; seconds after which a fast test hangs
RC = "[run]\nsource_dirs = {}\ndata_file = {}/data\nparallel = true\ndisable_warnings = no-data-collected\n"
Row = dict[str, Any]


class _Plugin:
    """Of pytest, in the worktrees: chooses and logs tests, or records which test reaches which line."""

    def __init__(self) -> None:
        names = ("COVERAGE", "TESTS", "LOG", "HANGS")
        self.coverage, self.tests, self.log, self.hangs = (os.environ.get(f"PLANTED_{name}") for name in names)
        if self.coverage:
            self.recorder = importlib.import_module("coverage").Coverage(config_file=self.coverage)
            self.recorder.start()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.tests:
            order = {test: at for at, test in enumerate(Path(self.tests).read_text().split("\n"))}
            chosen = sorted((one for one in items if one.nodeid in order), key=lambda one: order[one.nodeid])
            files = {one.path: at for at, one in reversed([*enumerate(chosen)])}
            items[:] = sorted(chosen, key=lambda one: files[one.path])  # fixtures of a file are made once

    def pytest_runtest_protocol(self, item: Any) -> None:
        if self.coverage:
            self.recorder.switch_context(item.nodeid)
        if self.hangs:
            faulthandler.dump_traceback_later(float(self.hangs), exit=True)
        self.write("began", item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.write("failed", report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.write("failed", f"import of {report.nodeid}")

    def pytest_sessionfinish(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self.coverage:
            self.recorder.stop()
            self.recorder.save()

    def write(self, what: str, test: str) -> None:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{what} {test}\n")


def pytest_configure(config: Any) -> None:
    """Register the plugin: this file is one, in the environments of the worktrees."""
    config.pluginmanager.register(_Plugin())


def find_breaks(text: str) -> list[Row]:
    """Return every break of a module."""
    lines, found, nodes = text.encode().splitlines(keepends=True), list[Row](), [*ast.walk(ast.parse(text))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def put(kind: str, node: Any, new: str, to: Any = None) -> None:
        """Put a text in the place of a node, or of what stands between two."""
        first, start = (node.end_lineno, node.end_col_offset) if to else (node.lineno, node.col_offset)
        last, end = (to.lineno, to.col_offset) if to else (node.end_lineno, node.end_col_offset)
        new = lines[first - 1][:start].decode() + new + lines[last - 1][end:].decode()
        at_import = not any(one.body[0].lineno <= first <= (one.end_lineno or 0) for one in functions)
        old = b"".join(lines[first - 1 : last]).decode()
        found.append({"line": first, "kind": kind, "at_import": at_import, "old": old, "new": new})

    def exchange(kind: str, left: Any, right: Any) -> None:
        between = lines[right.lineno - 1][left.end_col_offset : right.col_offset].decode()
        if left.end_lineno == right.lineno and (word := between.strip("() ")) in OPERATORS:
            put(kind, left, between.replace(word, OPERATORS[word]), right)

    left_out = {part for node in nodes for part in list_left_out(node)}
    for node in nodes:
        match None if node in left_out else node:
            case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
                put("yield deleted", node, "yield from ()")
            case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue() | ast.AugAssign():
                put("statement deleted", node, "pass")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                put("statement deleted", node, "pass")
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                put("nothing returned", node, "return None")
            case ast.Compare(ops=[_], comparators=[right]):
                exchange("comparison flipped", node.left, right)
            case ast.BoolOp(values=[left, right, *_]):
                exchange("and, or exchanged", left, right)
            case ast.BinOp(op=ast.Sub() | ast.Mult()):
                exchange("operator changed", node.left, node.right)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                put("not deleted", node, f"({ast.get_source_segment(text, operand)})")
            case ast.Constant(value=bool() | int() | float() as value):
                put("constant changed", node, repr(not value if isinstance(value, bool) else value + 1))
            case ast.Constant(value=str() as value) if " " not in value and not re.match(r"v?\d+\.\d+", value):
                put("constant changed", node, repr(value + "x"))
            case ast.If(test=test) | ast.IfExp(test=test) | ast.comprehension(ifs=[test, *_]) if test not in left_out:
                if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
                    put("condition negated", test, f"(not ({ast.get_source_segment(text, test)}))")
    return sorted(found, key=lambda one: (one["line"], one["kind"], one["new"]))


def list_left_out(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts that no test can be expected to notice: docstrings, types, prose, decorators."""
    parts: list[ast.AST] = []
    match node:
        case ast.JoinedStr() | ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__all__")]):
            parts = [node]
        case ast.Expr(value=ast.Call(args=args, func=func)) if re.search(r"\b(print|echo|log)$", ast.unparse(func)):
            parts = [node] if all(isinstance(one, ast.Constant | ast.JoinedStr) for one in args) else []
        case ast.If(test=test) if re.search("TYPE_CHECKING|__name__", ast.unparse(test)):
            parts = [node]
        case ast.Subscript(value=called) | ast.Call(func=called):
            parts = [node] if re.search(r"\b(Literal|Annotated|cast|TypeVar)$", ast.unparse(called)) else []
        case ast.AnnAssign(annotation=ast.AST() as types) | ast.arg(annotation=ast.AST() as types):
            parts = [types]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            parts = [*node.decorator_list, *filter(None, [getattr(node, "returns", None)])]
    return (one for part in parts for one in ast.walk(part))


def draw(options: argparse.Namespace) -> None:
    """Write the list of breaks; a larger count begins with the same ones."""
    chance, texts, places = random.Random(options.seed), dict[str, str](), dict[tuple[str, int], list[Row]]()
    for file in git("ls-tree", "-r", "--name-only", options.commit, "--", *PACKAGES).split():
        if file.endswith(".py") and not NOT_DRAWN.search(file):
            texts[file] = git("show", f"{options.commit}:{file}")
            for one in find_breaks(texts[file]):
                places.setdefault((file, one["line"]), []).append(one)
    drawn: list[Row] = []
    for file, line in chance.sample(sorted(places), len(places)):
        kinds = {one["kind"] for one in places[file, line]}  # many lines have a constant
        kind = chance.choice(sorted(kinds - {"constant changed"} or kinds))
        one = chance.choice([one for one in places[file, line] if one["kind"] == kind])
        with contextlib.suppress(SyntaxError):
            if len(drawn) < options.count and ast.parse(plant(texts[file], one)[0]):
                drawn.append({"n": len(drawn) + 1, "file": file} | one)
    write(options.list, drawn)


def plant(text: str, one: Row) -> tuple[str, int]:
    """Return the module with the break, at the old text that is nearest to its line, and the line; "" if it is gone."""
    places = [found.start() for found in re.finditer("^" + re.escape(one["old"]), text, re.MULTILINE)]
    lines = {text.count("\n", 0, at) + 1: at for at in places}
    line = min(lines, key=lambda line: abs(line - one["line"]), default=0)
    return (text[: lines[line]] + one["new"] + text[lines[line] + len(one["old"]) :], line) if line else ("", 0)


class Tree:
    """A worktree of a commit with an environment of its own."""

    def __init__(self, folder: Path, commit: str) -> None:
        self.folder, self.python = folder, folder / ".venv/bin/python"
        self.log, self.tests, self.home = Path(f"{folder}.log"), Path(f"{folder}.tests"), Path(f"{folder}.home")
        self.home.mkdir(exist_ok=True)
        if not folder.exists():
            git("worktree", "add", "--detach", str(folder), commit)
        git("checkout", "-q", "--", ".", folder=folder)
        for words in (("sync", "-q", "--inexact"), ("pip", "install", "-q", "--python", self.python, "coverage>=7.10")):
            subprocess.run([ROOT / "uvw", *words], cwd=folder, env=make_environ(), check=True)
        asked = "import robotrain, sysconfig; print(robotrain.__file__, sysconfig.get_path('purelib'))"
        imported, site = subprocess.check_output([self.python, "-Pc", asked], text=True).split()
        assert Path(imported).is_relative_to(folder)
        shutil.copy(__file__, site)
        (Path(site) / "planted_breaks.pth").write_text(
            'import os; "PYTEST_CURRENT_TEST" in os.environ and "COVERAGE_PROCESS_START" in os.environ'
            ' and __import__("coverage").process_startup()\n'
        )

    def run_pytest(self, *words: str, seconds: float, **variables: object) -> tuple[int, str]:
        """Return the exit code of tests, 0 if the time was over, and what was printed."""
        command = [self.python, "-m", "pytest", "-p", "planted_breaks", "-p", "no:cacheprovider", "--tb=no", *words]
        with tempfile.TemporaryFile("w+") as out:
            # What is broken must not write to the user's cache.
            variables |= {"HOME": self.home, "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", Path.home() / ".cache/uv")}
            named = {"cwd": self.folder, "env": make_environ(**variables), "stdout": out, "stderr": out}
            running, code = subprocess.Popen(command, start_new_session=True, **named), 0
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = running.wait(seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            out.seek(0)
            return code, out.read()

    def run_tests(self, tests: list[str], seconds: float, marks: str, *words: str) -> tuple[list[str], int]:
        """Run tests, or files of tests; return those that failed, and how many ran."""
        self.tests.write_text("\n".join(tests))
        self.log.write_text("")
        chosen = {"PLANTED_TESTS": self.tests} if "::" in "".join(tests) else {}
        hangs = {"PLANTED_HANGS": ONE_TEST} if marks == "not slow" else {}
        files = sorted({test.partition("::")[0] for test in tests})
        code, printed = self.run_pytest(
            "-n0", "-m", marks, *words, *files, seconds=seconds, PLANTED_LOG=self.log, **chosen, **hangs
        )
        logged = self.log.read_text().splitlines()
        failed = [one for one in logged if one.startswith("failed ")]
        if not failed and code not in (0, 5):  # 5: no test was found
            failed = logged[-1:] or [f"the start of the tests: {printed.strip()[-200:]}"]
        ran = sum(one.startswith("began ") for one in logged)
        return [one.removeprefix("failed ") for one in failed], ran

    @contextlib.contextmanager
    def planted(self, one: Row) -> Iterator[None]:
        """Have a break in the worktree."""
        path = self.folder / one["file"]
        before = path.read_text()
        try:
            for text in (plant(before, one)[0], before):
                path.write_text(text)
                Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
                if text != before:
                    yield
        finally:
            path.write_text(before)

    def collect_coverage(self, folder: Path) -> Path:
        """Run the fast tests under coverage, unless that was done."""
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            rc = RC.format(",".join(str(self.folder / one) for one in PACKAGES), folder)
            (folder / "tests.rc").write_text(rc)
            (folder / "programs.rc").write_text(rc + "context = ${PYTEST_CURRENT_TEST-}\n")
            started = {"COVERAGE_PROCESS_START": folder / "programs.rc"}
            print(self.run_pytest("-n2", seconds=7200, PLANTED_COVERAGE=folder / "tests.rc", **started)[1][-2000:])
            (folder / "complete").touch()
        return folder


class Run:
    """The breaks of a list, tried on a commit."""

    def __init__(self, options: argparse.Namespace) -> None:
        commit = git("rev-parse", "--short=8", options.commit).strip()
        base = str(options.folder.resolve() / commit)
        options.folder.mkdir(parents=True, exist_ok=True)
        self.options, self.trees, self.unsteady = options, queue.SimpleQueue[Tree](), Path(f"{base}-unsteady")
        self.breaks = {one["n"]: one for one in read(options.list)}
        if options.survivors_of:
            killed = {one["n"] for one in read(options.survivors_of) if one["outcome"] == "killed"}
            self.breaks = {n: one for n, one in self.breaks.items() if n not in killed}
        self.results = {one["n"]: one for one in read(options.results) if one["outcome"] != "unfinished"}
        trees = [Tree(Path(f"{base}-{at}"), commit) for at in range(options.jobs)]
        self.importers = {n: find_importers(trees[0].folder, one) for n, one in self.breaks.items()}
        files = {one["file"] for one in self.breaks.values()}.union(*self.importers.values())
        self.masks: dict[str, dict[str, int]] = {file: {} for file in files}  # of the lines that a test reaches
        self.sizes = collections.Counter[str]()
        for data in trees[0].collect_coverage(Path(f"{base}-coverage")).glob("data.*"):
            # A process that was killed leaves a torn file.
            with contextlib.closing(sqlite3.connect(data)) as rows, contextlib.suppress(sqlite3.DatabaseError):
                joined = "line_bits JOIN file ON file.id = file_id JOIN context ON context.id = context_id"
                for path, context, bits in rows.execute(f"SELECT path, context, numbits FROM {joined}"):
                    test, mask = re.sub(r" \((setup|call|teardown)\)$", "", context), int.from_bytes(bits, "little")
                    self.sizes[test] += mask.bit_count()
                    tests = self.masks.get(path.removeprefix(f"{trees[0].folder}/"))
                    if test and tests is not None:
                        tests[test] = tests.get(test, 0) | mask
        for tree in trees:
            self.trees.put(tree)

    def finish(self) -> None:
        """Try what was not tried yet; again, if what failed fails without the break too."""
        failed = [""]
        while failed:
            with ThreadPoolExecutor(self.options.jobs) as pool:
                list(pool.map(self.try_fast, [n for n in self.breaks if n not in self.results]))
                left = [n for n, one in self.results.items() if one.get("slow") == "not tried"]
                list(pool.map(self.try_slow, left if self.options.slow else []))
            tree, killers = self.trees.get(), {one["by"] for one in self.results.values() if "::" in one["by"]}
            failed = tree.run_tests(sorted(killers), 3600, "")[0] if killers else []
            self.trees.put(tree)
            if failed:
                print("these fail without a break too, and do not count:", *failed, sep="\n  ")
                write(self.unsteady, [*read(self.unsteady), *({"test": one} for one in failed)])
                self.results = {n: one for n, one in self.results.items() if one["by"] not in failed}

    def try_fast(self, n: int) -> None:
        """Run the fast tests that reach a break, in batches, up to the first that fails."""
        one, began, tree, killers, ran = self.breaks[n], time.monotonic(), self.trees.get(), list[str](), 0
        text, line = plant((tree.folder / one["file"]).read_text(), one)
        lines = sum(1 << at for at in range(line, line + one["old"].count("\n")))
        reach = {test for test, mask in self.masks[one["file"]].items() if mask & lines or one["at_import"]}
        reach |= {test for file in self.importers[n] for test in self.masks[file]}  # they import the break
        reach -= {known["test"] for known in read(self.unsteady)}
        tests = sorted(reach, key=lambda test: (test not in self.masks[one["file"]], self.sizes[test], test))
        for start, end in itertools.pairwise((0, FIRST_BATCH, 5 * FIRST_BATCH, len(tests) + 5 * FIRST_BATCH)):
            left = self.options.limit - (time.monotonic() - began)
            if text and tests[start:end] and left > 0 and not killers:
                with tree.planted(one):
                    killers, more = tree.run_tests(tests[start:end], left, "not slow", "-x")
                    if killers and killers[0].startswith("began "):  # it hangs, or this machine was busy
                        killers = tree.run_tests([killers[0].removeprefix("began ")], ONE_TEST * 2, "not slow")[0]
                ran += more
        outcome = "line gone" if not text else "killed" if killers else "survived" if tests else "not reached"
        if outcome == "survived" and time.monotonic() - began > self.options.limit:
            outcome = "unfinished"
        slow = {"slow": "not tried"} if outcome in ("survived", "not reached") else {}
        result = {
            "outcome": outcome,
            "by": "".join(killers[:1]).removeprefix("began "),
            "ran": ran,
            "reach": len(tests),
        } | slow
        self.keep({"n": n, "at": f"{one['file']}:{one['line']}", **result}, began)
        self.trees.put(tree)

    def try_slow(self, n: int) -> None:
        """Run the slow tests that name a broken module and may run its code."""
        one, began, tree = self.breaks[n], time.monotonic(), self.trees.get()
        path, package = Path(one["file"]), max((name for name in PACKAGES if one["file"].startswith(name)), key=len)
        word = re.compile(rf"\b{path.parent.name if path.stem in ('__init__', 'container') else path.stem}\b")
        files = [path for name in PACKAGES[package] for path in sorted(tree.folder.glob(f"tests/{name}/test_*.py"))]
        texts = {str(path.relative_to(tree.folder)): path.read_text() for path in files}
        named = [file for file, text in texts.items() if "mark.slow" in text and word.search(text)]
        with tree.planted(one):
            limit = self.options.slow_limit
            killers, ran = tree.run_tests(named, limit, "slow and not long", "-x") if named else ([], 0)
        killed = {"outcome": "killed", "by": killers[0]} if killers else {}
        self.keep(self.results[n] | {"slow": f"{ran} tests of {len(named)} files"} | killed, began)
        self.trees.put(tree)

    def keep(self, result: Row, began: float) -> None:
        """Write and print a result."""
        self.results[result["n"]] = result | {"seconds": round(time.monotonic() - began)}
        write(self.options.results, [self.results[n] for n in sorted(self.results)])
        print(f"{len(self.results)} of {len(self.breaks)}: break {result['n']}, {result['at']}:", end=" ")
        print(result["outcome"], result["by"], f"({result['ran']} of {result['reach']} tests)", flush=True)


def find_importers(tree: Path, one: Row) -> list[str]:
    """Return the modules that import a module whose import runs the break."""
    if not one["at_import"]:
        return []
    parent, _, name = re.sub(r"^.*?(?=robotrain)|(/__init__)?\.py$", "", one["file"]).rpartition("/")
    parent = re.sub(r"^robotrain-?\w*/(?=robotrain)", "", parent).replace("/", ".")
    pattern = rf"(from|import) {parent}\.{name}( |$)|from {parent} import .*\b{name}\b"
    return git("grep", "-lE", pattern, "--", *PACKAGES, folder=tree).split()


def compare(options: argparse.Namespace) -> int:
    """Print what survived after and was killed before."""
    before, after = ({one["n"]: one for one in read(path)} for path in (options.before, options.after))
    for name, results in (("before", before), ("after", after)):
        print(f"{name}:", dict(collections.Counter(one["outcome"] for one in results.values())))
    outcomes = {n: after[n]["outcome"] if n in after else "not tried" for n in {**before, **after}}
    untried = {"outcome": "killed", "by": "an unknown test (not tried)"}
    left = (n for n, outcome in outcomes.items() if outcome not in ("killed", "line gone"))
    earlier = {n: before.get(n, untried) for n in left}
    new = [n for n, one in earlier.items() if one["outcome"] == "killed"]
    for n in new:
        print(f"break {n}: killed before by {earlier[n]['by']}, now {outcomes[n]}")
    return int(bool(new))


def read(path: Path) -> list[Row]:
    """Return the objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write objects into a file, one a line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))


def git(*words: str, folder: Path = ROOT) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *words], cwd=folder, check=False, stdout=subprocess.PIPE, text=True).stdout


def make_environ(**variables: object) -> dict[str, str]:
    """Return the environment of this process with these variables, and without what `uv run` sets for this checkout."""
    ours = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "XDG_CACHE_HOME")}
    return ours | {name: str(value) for name, value in variables.items()}


def main() -> int:
    """Draw, run or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    drawing, running = commands.add_parser("draw"), commands.add_parser("run")
    for one in (drawing, running):
        one.add_argument("--commit", default="HEAD")
        one.add_argument("--list", type=Path, default=LIST)
    drawing.add_argument("--seed", type=int, required=True)
    drawing.add_argument("--count", type=int, default=200)
    drawing.set_defaults(act=draw)
    running.add_argument("--results", type=Path, required=True)
    running.add_argument("--survivors-of", type=Path, help="results: try only what they do not have as killed")
    running.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "planted-breaks")
    running.add_argument("--jobs", type=int, default=1, help="how many breaks are tried at a time")
    running.add_argument("--limit", type=float, default=300, help="seconds for the fast tests of a break")
    running.add_argument("--slow", action="store_true", help="slow tests too, for what the fast ones do not kill")
    running.add_argument("--slow-limit", type=float, default=900, help="seconds for the slow tests of a break")
    running.set_defaults(act=lambda options: Run(options).finish())
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.set_defaults(act=compare)
    options = parser.parse_args()
    return options.act(options) or 0


if __name__ == "__main__":
    sys.exit(main())

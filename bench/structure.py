"""Figures of the source tree's structure: sizes, layers, names, and how much code one command passes through.

    ./uvw run python bench/structure.py [--root CHECKOUT] [--list]

--root: another checkout, with an environment of its own in `.venv`, to compare with. --list: what stands behind the
counts. Nothing here is a test; the rules that hold are in tests/test_layers.py and tests/test_names.py.
"""

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE / "tests"))

import source_tree  # noqa: E402

TRACE = """
import os, sys
entered, functions, moves, last, packages = set(), set(), 0, "", {packages!r}
def note(frame, event, argument):
    name = frame.f_globals.get("__name__", "")
    code = frame.f_code
    is_function = code.co_flags & 1 and not code.co_name.startswith(("<", "__create_fn__"))  # no body of a class
    if event == "call" and is_function and name.partition(".")[0] in packages:
        global moves, last
        entered.add(name)
        functions.add(code)
        moves, last = moves + (name != last), name
os._exit = sys.exit
sys.argv = ["robotrain", *{arguments!r}]
from robotrain.cli import main
code = None
sys.setprofile(note)
try:
    main()
except SystemExit as ended:
    code = ended.code
sys.setprofile(None)
loaded = [name for name in sys.modules if name.partition(".")[0] in packages]
print(chr(10), code, len(entered), len(functions), moves, len(loaded), file=sys.stderr)
"""
LATER_FEATURES = (
    "pipeline",
    "sweep",
    "isaac",
    "rosbag",
    "train_eval",
    "handover",
    "step_output",
    "step_source",
    "step_runs",
)
"""Words in the names of modules that issue I leaves out of its figures."""
COMMANDS = {
    "submit --platform local --dry-run": [
        "submit",
        "examples/pusht-mini/job.yaml",
        "--platform",
        "local",
        "--dry-run",
    ],
    "render --platform osmo": [
        "render",
        "--platform",
        "osmo",
        "--pool",
        "p",
        "--tracking-uri",
        "none",
        "--blob-url",
        "https://acct.blob.core.windows.net/set/a",
    ],
}


def count_modules(root: Path, arguments: list[str]) -> str:
    """How many modules of the product a command calls a function of, how often it moves from one to another in its main
    thread, and how many it loads.
    """
    python = root / ".venv/bin/python"
    program = TRACE.format(packages=set(source_tree.PACKAGES), arguments=arguments)
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(
            [python, "-c", program],
            cwd=root,
            env={**os.environ, "ROBOTRAIN_STATE": state},
            capture_output=True,
            text=True,
        )
    code, entered, functions, moves, loaded = done.stderr.split()[-5:]
    figures = f"{entered} entered, {functions} functions, {moves} moves between modules, {loaded} loaded"
    return figures + ("" if code in ("0", "None") else f" (exit code {code})")


def count_code_lines(text: str) -> int:
    """How many lines are neither blank, nor a comment, nor part of a docstring or of another text that stands alone."""
    silent = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for at, line in lines if at not in silent)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=HERE)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    modules = source_tree.read_modules(options.root)
    lines = [module.text.count("\n") for module in modules]
    print(f"product files            {len(modules)}, median {statistics.median(lines):.0f} lines")
    print(f"product lines            {sum(lines):,}")
    counted = [module for module in modules if not any(word in module.name for word in LATER_FEATURES)]
    rest = sum(module.text.count("\n") for module in counted)
    code = sum(count_code_lines(module.text) for module in counted)
    named = [module for module in counted if module.text.count("\n") > 1]
    print(f"without {', '.join(LATER_FEATURES)}: {len(counted)} files, {rest:,} lines")
    print(f"  of them {len(named)} files of more than one line, {code:,} lines without docstrings and blank lines")
    tests = [path.read_text().count("\n") for path in (options.root / "tests").rglob("*.py")]
    print(f"tests                    {len(tests)} files, {sum(tests):,} lines")
    for package in source_tree.PACKAGES:
        sizes = [
            [module.text.count("\n") for module in listed if module.name.partition(".")[0] == package]
            for listed in (modules, counted)
        ]
        whole, part = (f"{len(line_counts)} files, {sum(line_counts):,} lines" for line_counts in sizes)
        print(f"  {package:<22} {whole}" + ("" if whole == part else f" (without these: {part})"))
    behind: list[str] = []
    cycles = 0
    for package in source_tree.PACKAGES:
        for cycle in source_tree.find_cycles(source_tree.folder_imports(modules, package)):
            cycles += 1
            behind.append("cycle: " + ", ".join(cycle))
    circles = source_tree.find_cycles(source_tree.file_imports(modules))
    behind += ["circle of files: " + ", ".join(circle) for circle in circles]
    called_once = source_tree.find_functions_called_once(modules)
    behind += [f"called once: {name}" for name in called_once]
    imported_once = source_tree.find_modules_imported_once(modules)
    behind += [f"imported once, by {importer}: {name}" for name, importer in imported_once.items()]
    vague, classes = source_tree.find_vague_names(modules), source_tree.find_repeated_classes(modules)
    behind += [f"vague: {name}" for name in vague]
    behind += [f"class {name}: {', '.join(where)}" for name, where in classes.items()]
    print(f"folder cycles            {cycles}")
    print(f"file circles             {len(circles)}")
    print(f"private, one caller      {len(called_once)}")
    print(f"one importer, its folder {len(imported_once)}")
    print(f"class names used twice   {len(classes)}")
    print(f"vague names              {len(vague)}")
    for name, arguments in COMMANDS.items():
        print(f"{name:<36} {count_modules(options.root, arguments)}")
    if options.list:
        print(*behind, sep="\n")


if __name__ == "__main__":
    main()

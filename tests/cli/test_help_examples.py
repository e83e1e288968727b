"""What help and the documents tell people to type is understood by the command line as it is today."""

import re
import shlex
from pathlib import Path

import pytest
import tomllib
from robotrain.command_table import COMMANDS
from robotrain.plugins.manager import choose_plugins

WORKLOADS = choose_plugins("none", (), "").list_names("workload")
GROUPS = ("data", "bags")
ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS.remove(ROOT / "docs/plugin-tutorial.md")  # its platforms are the reader's: tests/test_tutorial.py types it
PLUGINS = sorted((ROOT / "examples/plugins").glob("*/pyproject.toml"))
LABELS = ("--name", "--note", "--checker")
SENDING = ("--wait", "--stream", "--dry-run", "--new", "--no-pin", "--assets-only")
SOUGHT = {"RUN": "last", "PLATFORM": "local", "NAME": "local", "WORKLOAD": "lerobot-train"}


def examples_of_help(robotrain):
    for command in ("", *COMMANDS, *GROUPS, *(f"submit {workload}" for workload in WORKLOADS)):
        shown = robotrain(*command.split(), "--help-all").stdout
        text = re.sub(r" \\\n +(?=-)", " ", shown.partition("Options:")[0])
        yield from re.findall(r"^ {2,}robotrain (\w.*)$", text, re.MULTILINE)


def examples_of_documents(documents):
    for document in documents:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
            for line in block.replace("\\\n", "").splitlines():
                if match := re.match(r"(?:\./uvw run )?robotrain (\w.*)", line):
                    yield match[1]


def split_example(example):
    """The words of an example, without its remark and what reads its output, and with real names for placeholders."""
    bare = re.split(r"\s+#|\s{3,}|\s+[>|]", example)[0].replace("…", "").replace("[", "").replace("]", "")
    return [SOUGHT.get(word, word) for word in shlex.split(bare)]


@pytest.fixture
def example_files(pusht, monkeypatch, tmp_path):
    """The files that examples speak of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "pusht-mini").symlink_to(ROOT / "examples/pusht-mini")
    for name in ("my-dataset", "episodes", "more-episodes"):
        (tmp_path / name).symlink_to(pusht)
    (tmp_path / "job.yaml").write_text(f"sources:\n  dataset:\n    - local_path: {pusht}\n")


def is_understood(robotrain, example):
    """Whether every option and word of an example is known: that it acts is for other tests."""
    from robotrain.store import records

    result = split_example(example)
    if result[0] == "submit" and "--plan" not in result:  # a submit looks at the world first, which takes its time
        labels = {index + step for index, word in enumerate(result) if word in LABELS for step in (0, 1)}
        result = [
            "explain",
            *(word for index, word in enumerate(result) if index not in {0, *labels} if word not in SENDING),
        ]
    elif result[0] in ("submit", "resubmit", "resume"):
        result = [*result[:1], "--dry-run", *(word for word in result[1:] if word != "--dry-run")]
    answer = (
        robotrain(*result)
        if result[0] in ("render", "explain", "submit")
        else robotrain(result[0], "--help", *result[1:])
    )
    words = r"option-(?!elsewhere)\w+|word-unknown|command-unknown|usage|flag-without-value|value-unknown"
    text = re.sub(r"\[option-unknown\]\n.*\n  It is an option of", "", answer.stderr)
    unknown = re.search(rf"\[({words})\]", text)
    assert records.list_runs() == []
    return unknown is None


def test_every_example_of_help_is_understood(robotrain, example_files):
    examples = list(examples_of_help(robotrain))
    assert len(examples) > 15
    assert [example for example in examples if not is_understood(robotrain, example)] == []


@pytest.mark.slow
def test_every_command_of_the_documents_is_understood(robotrain, example_files):
    examples = list(examples_of_documents(DOCUMENTS))
    assert len(examples) > 25
    assert [example for example in examples if not is_understood(robotrain, example)] == []


def test_every_command_of_the_example_plugins_is_understood(robotrain, example_files, install, monkeypatch):
    for plugin in PLUGINS:
        project = tomllib.loads(plugin.read_text())["project"]
        install(project["name"], project["entry-points"]["robotrain"])
        monkeypatch.syspath_prepend(plugin.parent)
    examples = list(examples_of_documents(plugin.with_name("README.md") for plugin in PLUGINS))
    assert len(examples) > 5
    assert [example for example in examples if not is_understood(robotrain, example)] == []


def test_the_help_of_every_command_shows_an_example(robotrain):
    for command in COMMANDS:
        if command not in ("plugins", "platforms", "doctor"):
            assert re.search(r"^ +robotrain ", robotrain(command, "--help").stdout, re.MULTILINE), command

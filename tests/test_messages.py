"""Every message that the code reports stands in a messages.toml, with the facts that its texts name."""

import ast
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import source_tree
import tomllib
from robotrain import messages
from robotrain.errors import Stage, Suggestion
from robotrain.messages import Messages

MAKER = "make_problem"
OWN_FACTS = ("where", "given")
ARGUMENTS = (*OWN_FACTS, "stage", "severity", "absent", "address", "transient")
KEYS = {"title", "why", "where", "stage", "severity", "transient", "ways", "question"}


class Use(NamedTuple):
    """A call that reports a message."""

    at: str
    folder: str
    names: Sequence[str]
    """The messages that it may be."""
    facts: frozenset[str]


@cache
def list_uses() -> Sequence[Use]:
    """Every call of a module's `Messages`."""
    uses = []
    for module in source_tree.read_modules():
        if f"{MAKER} = Messages(__file__)" in module.text:
            lines = module.text.splitlines()
            for function in source_tree.walk_statements(ast.parse(module.text)):
                if not isinstance(function, ast.FunctionDef):
                    continue
                if not any(f"{MAKER}(" in line for line in lines[function.lineno - 1 : function.end_lineno]):
                    continue
                uses += [use for call in ast.walk(function) if (use := read_use(module, function, call))]
    return list(dict.fromkeys(uses))


def read_use(module: source_tree.Module, function: ast.FunctionDef, node: ast.AST) -> Use | None:
    if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != MAKER:
        return None
    names = tuple(dict.fromkeys(read_names(node.args[0], function)))
    facts = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
    return Use(f"{module.path}:{node.lineno}", str(module.path.parent), names, facts)


def read_names(value: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
    """The texts that an expression may be; those of a variable are all that the function assigns to it."""
    if isinstance(value, ast.Constant):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from (*read_names(value.body, function), *read_names(value.orelse, function))
    elif isinstance(value, ast.Name):
        for node in ast.walk(function):
            for target in node.targets if isinstance(node, ast.Assign) else ():
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=True))
                for variable, assigned in pairs:
                    if getattr(variable, "id", "") == value.id:
                        yield from read_names(assigned, function)


def list_texts(table: messages.Table) -> list[str]:
    ways = [text for way in table.get("ways", ()) for text in way]
    return [table["title"], table.get("where", ""), *table.get("why", ()), *ways]


def list_placeholders(texts: Sequence[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"(?<!\{)\{(\w+)", text.replace("{{", ""))}


def list_files() -> Iterator[Path]:
    for folder in source_tree.PACKAGES.values():
        yield from sorted((source_tree.ROOT / folder).rglob(messages.FILE))


def list_messages(file: Path) -> dict[str, messages.Table]:
    """The messages of a file, by name."""
    messages = {}
    for code, table in tomllib.loads(file.read_text()).items():
        for variant, message in {"": table, **table}.items() if isinstance(table, dict) else ():
            if isinstance(message, dict) and "title" in message:
                messages[f"{code}.{variant}" if variant else code] = message
    return messages


def test_every_reported_message_is_written():
    """`find_message` raises for one that is not."""
    assert len(list_uses()) > 100
    for use in list_uses():
        assert use.names, f"{use.at}: the message is not known before it runs"
        for name in use.names:
            messages.find_message(use.folder, name)


def test_a_call_gives_the_facts_that_its_message_names_and_no_others():
    problems = []
    for use in list_uses():
        texts = [text for name in use.names for text in list_texts(messages.find_message(use.folder, name))]
        for name in use.names:
            table = messages.find_message(use.folder, name)
            needed = list_placeholders([table["title"], table.get("where", "")])
            problems += [f"{use.at}: {name} needs {fact}" for fact in needed - use.facts - set(OWN_FACTS)]
        problems += [f"{use.at}: nothing says {fact}" for fact in use.facts - list_placeholders(texts) - set(ARGUMENTS)]
        problems += [f"{use.at}: {fact} is not given" for fact in list_placeholders(texts) - use.facts - set(OWN_FACTS)]
    assert problems == []


QUOTES = {
    "core/robotrain/messages.py": "the maker itself",
    "core/robotrain/model/support.py": "what a platform declares",
    "core/robotrain/refusals.py": "refusals.toml of a plugin",
    "plugins/azureml/robotrain_azureml/errors.py": "a diagnosis of Azure's answer",
    "plugins/osmo/robotrain_osmo/client/failures.py": "refusals.toml",
    "plugins/slurm/robotrain_slurm/login/ssh_failures.py": "what the shell of a login node prints",
    "runtime/robotrain_runtime/contract/problem.py": "the type itself",
}
"""The modules that make a problem of something else than a message."""
CONTAINER_IMPORT = "from robotrain_runtime.contract.problem import"
"""Of a module for the machine of the job, which has no core and reads no TOML, or of `errors.py` of core."""


def test_a_problem_is_made_of_a_message():
    modules = [module for module in source_tree.read_modules() if CONTAINER_IMPORT not in module.text]
    makers = [module for module in modules if re.search(r"(?<![\w.])(?<!class )Problem\(", module.text)]
    names = {str(module.path.relative_to(source_tree.ROOT)) for module in makers}
    assert names == {*QUOTES}, "write the sentences in a messages.toml"


def test_every_written_message_is_reported():
    used: dict[str, list[str]] = defaultdict(list)
    for use in list_uses():
        for name in use.names:
            used[name].append(use.folder)
    for file in list_files():
        for name in list_messages(file):
            users = used.get(name, [])
            assert any(f"{folder}/".startswith(f"{file.parent}/") for folder in users), f"{file}: {name}"


def test_tables_are_read_one_by_one_as_they_are_in_the_whole_file():
    for file in list_files():
        whole = {code: table for code, table in tomllib.loads(file.read_text()).items() if isinstance(table, dict)}
        for code in whole:
            assert messages.read_tables(str(file.parent), code) == {code: whole[code]}


def test_a_message_has_known_keys_and_sentences():
    for file in list_files():
        for name, table in list_messages(file).items():
            assert {key for key, value in table.items() if not isinstance(value, dict)} <= KEYS, name
            assert not table["title"].endswith("."), name
            assert all(sentence.endswith((".", "}", "`", ")")) for sentence in table.get("why", ())), name
            assert all(len(way) in (1, 2, 3) for way in table.get("ways", ())), name


HOSTILE = """a b's "c";$(id)|`x`&>~*"""
WORDS = r"(?<!\{)\{\w+:words\}"
"""A fact that may be several words, in the text of a way."""


def test_a_fact_in_a_way_is_one_word_of_the_line():
    texts = []
    for file in list_files():
        for name, table in list_messages(file).items():
            for text in [way[0] for way in table.get("ways", ()) if list_placeholders(way[:1])]:
                facts = dict.fromkeys(list_placeholders([text]), HOSTILE)
                [way] = messages._Facts(facts).fill_in_ways([[re.sub(WORDS, "--flag", text)]])
                assert all(HOSTILE in word for word in shlex.split(way.text) if "$(" in word), f"{file}: {name}: {text}"
                texts.append(way.text)
    assert len(texts) > 150
    script = "".join(f"set -- {text}\nprintf '%s\\0' \"$@\"\n" for text in texts)
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split("\0")[:-1] == [word for text in texts for word in shlex.split(text)], "as a shell reads them"


ROOM = """
stage = "check"

[too-dear]
title = "{name} costs {count:# credit|# credits}"
why = ["{reason:capital} is above {limit}.", "Ask {owner}."]
ways = [["--name {cheaper}", "costs less"], ["--budget {limit}"]]

[too-dear.twice]
title = "{{both}} {name!r} cost too much"
why = ["{where} decides."]
where = "--{name}"
stage = "preflight"
severity = "warning"
"""


@pytest.fixture
def make_problem(tmp_path: Path) -> Any:
    """The messages of a module in a folder of a package whose top has the texts."""
    (tmp_path / "shop/rooms").mkdir(parents=True)
    for folder in ("shop", "shop/rooms"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "shop/messages.toml").write_text(ROOM)
    return Messages(str(tmp_path / "shop/rooms/desk.py"))


def test_a_text_whose_fact_is_absent_or_none_is_left_out(make_problem):
    problem = make_problem("too-dear", name="a", count=1, reason=None, limit=3)
    assert (problem.title, problem.why, problem.suggestions) == ("a costs 1 credit", "", (Suggestion("--budget 3"),))
    problem = make_problem(
        "too-dear", "first", "", name="a", count=2, reason="it", limit=3, owner="Ada", cheaper=Path("b c")
    )
    assert (problem.title, problem.why) == ("a costs 2 credits", "It is above 3. Ask Ada.")
    assert [way.text for way in problem.suggestions] == ["first", "--name 'b c'", "--budget 3"]


def test_a_variant_has_its_own_texts_and_decides_by_its_name(make_problem):
    problem = make_problem("too-dear.twice", name="x")
    assert (problem.code, problem.message, problem.title) == ("too-dear", "too-dear.twice", "{both} 'x' cost too much")
    assert (problem.where, problem.why, problem.stage, problem.severity) == (
        "--x",
        "--x decides.",
        Stage.PREFLIGHT,
        "warning",
    )
    assert make_problem("too-dear.twice", name="x", where="y", stage=Stage.RUN).stage is Stage.RUN


def test_a_message_that_no_file_has_is_an_error_of_the_code(make_problem):
    with pytest.raises(LookupError, match=r"too-dear\.never"):
        make_problem("too-dear.never")


def test_a_secret_in_a_fact_is_not_shown(make_problem):
    problem = make_problem("too-dear", name="hf_abcdefghijklmnopqrstuvwx", count=2, given="https://a.b/c?sig=abcdefgh")
    assert "hf_abc" not in str(problem)
    assert "sig=" not in str(problem)

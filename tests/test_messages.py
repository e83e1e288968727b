"""Every message that the code reports stands in a messages.toml."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import source_tree
import tomllib
from robotrain import messages
from robotrain.errors import Stage, Suggestion
from robotrain.messages import Messages

KEYS = {"title", "why", "where", "stage", "severity", "transient", "ways", "question"}


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
    reported = [
        (module.path, name)
        for module in source_tree.read_modules()
        if "make_problem = Messages(__file__)" in module.text
        for name in re.findall(r'make_problem\(\s*"([a-z][\w.-]+)"', module.text)
    ]
    assert len(reported) > 500
    for path, name in reported:
        messages.find_message(str(path.parent), name)


def test_every_written_message_is_reported():
    for file in list_files():
        code = "".join(path.read_text() for path in file.parent.rglob("*.py"))
        unused = [name for name in list_messages(file) if f'"{name}"' not in code]
        assert unused == [], file


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
                [way] = messages._Facts(facts).list_ways({"ways": [[re.sub(WORDS, "--flag", text)]]})
                assert all(HOSTILE in word for word in shlex.split(way.text) if "$(" in word), f"{file}: {name}: {text}"
                texts.append(way.text)
    assert len(texts) > 100
    script = "".join(f"set -- {text}\nprintf '%s\\0' \"$@\"\n" for text in texts)
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split("\0")[:-1] == [word for text in texts for word in shlex.split(text)], "as a shell reads them"


ROOM = """
stage = "check"

[too-dear]
title = "{name} costs {count} credits"
why = ["{reason} is above {limit}.", "Ask {owner}."]
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
    problem = make_problem("too-dear", name="a", count=0, reason=None, limit=3)
    assert (problem.title, problem.why, problem.suggestions) == ("a costs 0 credits", "", (Suggestion("--budget 3"),))
    problem = make_problem(
        "too-dear", "first", "", name="a", count=2, reason="it", limit=3, owner="Ada", cheaper=Path("b c")
    )
    assert (problem.title, problem.why) == ("a costs 2 credits", "it is above 3. Ask Ada.")
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

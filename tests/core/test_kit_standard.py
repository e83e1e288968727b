"""A standard test fails with every sentence that it has to say, and says in its docstring what it checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.testing import PlatformKit, SourceKit, WorkloadKit
from robotrain.testing.kit_base import KitBase


class Fails(KitBase):
    @pytest.mark.parametrize("at", [1])
    def test_of_sentences(self, at):
        """It says something."""
        yield "the first is wrong: write a"
        yield "the second is wrong: write b"
        pytest.fail("the rest cannot be tried")

    def test_that_is_right(self):
        yield from ()


def test_a_generator_of_sentences_fails_with_all_of_them():
    sentences = "the first is wrong: write a\nthe second is wrong: write b\nthe rest cannot be tried"
    with pytest.raises(pytest.fail.Exception, match=f"^{sentences}$") as failure:
        Fails().test_of_sentences(1)
    assert not failure.value.pytrace
    assert [mark.name for mark in Fails.test_of_sentences.pytestmark] == ["parametrize"]
    assert Fails().test_that_is_right() is None


@pytest.mark.parametrize("kit", [PlatformKit, SourceKit, WorkloadKit])
def test_every_standard_test_says_what_it_checks(kit):
    assert issubclass(kit, KitBase)
    names = [name for name in dir(kit) if name.startswith("test_")]
    assert names
    assert [name for name in names if not getattr(kit, name).__doc__] == []


def test_ruff_refuses_imports_of_names_that_are_not_public(tmp_path):
    document = (Path(__file__).parents[2] / "docs/plugin-names.md").read_text()
    (tmp_path / "pyproject.toml").write_text(document.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "good.py").write_text("from robotrain.plugin import hook\nfrom robotrain.testing import PlatformKit\n")
    (tmp_path / "bad.py").write_text("from robotrain.model.job import Job\nimport robotrain_runtime.contract\n")
    command = (sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise", ".")
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert re.findall(r"(?m)^(\S+:\d+):\d", answer.stdout) == ["bad.py:1", "bad.py:2"], answer.stderr

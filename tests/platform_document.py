"""The page of a platform in docs/: its commands and its settings, and the tests that every such page passes."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path


class PlatformDocument:
    """A page. `places`: values for the placeholders in its commands."""

    def __init__(self, name: str, places: Mapping[str, str]) -> None:
        self.name = name
        self.text = (Path(__file__).parents[1] / f"docs/{name}.md").read_text()
        blocks = re.findall(r"```sh\n(.*?)```", self.text, re.DOTALL)
        self.commands = [line for block in blocks for line in block.splitlines()]
        self._places = places

    def part(self, title: str) -> str:
        """The text below a title."""
        return self.text.partition(title)[2].partition("\n## ")[0]

    def first_settings(self) -> str:
        """The robotrain.toml of the first run."""
        (settings,) = re.findall(r"```toml\n(.*?)```", self.part("## First run"), re.DOTALL)
        return str(settings)

    def typed(self, line: str) -> list[str]:
        """The arguments of a command line with values for its placeholders, without `robotrain`."""
        for name, value in self._places.items():
            line = line.replace(name, value)
        return line.split()[1:]


class DocumentTests:
    """What holds for the page of any platform."""

    document: PlatformDocument

    def test_every_line_is_a_command_of_robotrain(self):
        assert self.document.commands
        assert [line for line in self.document.commands if not line.startswith("robotrain ")] == []

    def test_the_table_of_settings_is_fresh(self, monkeypatch):
        monkeypatch.syspath_prepend(Path(__file__).parents[1] / "docs")
        table = importlib.import_module("references").format_settings(self.document.name)
        assert self.document.text.endswith(table), "run .ci/pages"

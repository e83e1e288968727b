"""The page of a platform in docs/: its commands and its settings, and the tests that every such page passes."""

import re
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract.parameter import get_parameters


class PlatformDocument:
    """A page. `places`: values for the placeholders in its commands."""

    def __init__(self, name: str, places: Mapping[str, str]) -> None:
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
    settings: type

    def test_every_line_is_a_command_of_robotrain(self):
        assert self.document.commands
        assert [line for line in self.document.commands if not line.startswith("robotrain ")] == []

    def test_every_setting_is_in_the_document_with_its_default(self):
        table = self.document.part("## Arguments").splitlines()
        rows = [row.split("|") for row in table if row.startswith("| `--")]
        values = {flag: row[2] for row in rows for flag in re.findall(r"`(--[a-z-]+)`", row[1])}
        defaults = {parameter.flag: parameter.default for parameter in get_parameters(self.settings)}
        assert values.keys() == defaults.keys()
        del defaults["--image"]  # told in words
        assert [
            flag for flag, value in defaults.items() if value not in (None, False) and f"`{value}`" not in values[flag]
        ] == []

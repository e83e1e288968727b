"""Print the tables of docs/from-the-scripts.md: the options of each reference script, and what stands for them."""

import re
from collections.abc import Iterable, Iterator, Mapping

from robotrain_workloads.reference_scripts.from_script import (
    REFUSED,
    Entry,
    ReferenceScript,
    ScriptOption,
    load_scripts,
)


def format_page() -> str:
    """Return all tables."""
    return "\n".join(line for script in load_scripts().values() for line in _format_script(script))


def _format_script(script: ReferenceScript) -> Iterator[str]:
    yield f"## {script.name}\n"
    if script.without:
        yield f"{script.title}: {script.without}.\n"
        return
    was = f" Its earlier name: {', '.join(f'`{name}`' for name in script.was)}." if script.was else ""
    yield f"{script.title}: `robotrain {' '.join(script.command)} --platform {script.platform}`.{was}\n"
    for name, value in script.defaults.items():
        yield f"Where `{name}` is not given, the script uses `{value}`.\n"
    yield "| Option | Environment | robotrain |"
    yield "| --- | --- | --- |"
    for option in sorted(script.options, key=lambda one: not one.spellings):
        yield f"| {_format_option(option)} | {_join(option.variables)} | {_format_entry(option.entry)} |"
    names = _join(option.name for option in script.forwarded)
    place = "anywhere or after `--`" if script.forwards_unknown else "after `--`"
    yield f"\nOptions of the platform's own command, {place}, that robotrain knows: {names}.\n"


def _format_option(option: ScriptOption) -> str:
    return _join(option.spellings) + (f" {option.metavar}" if option.spellings and option.metavar else "")


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _format_entry(entry: Entry) -> str:
    if isinstance(entry, Mapping):
        cases = [(case, one) for case, one in entry.items() if not case.startswith("note")]
        notes = [one for case, one in entry.items() if case.startswith("note")]
        texts = [_format_case(case, len(cases) == 1) + _format_entry(one) for case, one in cases]
        return "; ".join(texts) + "".join(f" ({note})" for note in notes)
    if not entry:
        return "nothing to do"
    if entry.startswith(REFUSED):
        return f"not translated: {_format_entry(entry.removeprefix(REFUSED))}"
    if entry.startswith("part of "):
        return f"see `{entry.removeprefix('part of ')}`"
    if entry.startswith(("--", "$ ")):
        return f"`{re.sub('{(--)?', '{', entry.removeprefix('$ ').removesuffix(' {}')).replace('{}', 'VALUE')}`"
    option = r"--[a-z][a-z-]*(?: (?:[A-Z]+\b|none|https://\S+|azureml:\S+))?"
    return re.sub(rf"(`[^`]*`)|({option})", lambda match: match[1] or f"`{match[2]}`", entry)


def _format_case(case: str, is_only: bool) -> str:
    if case == ".*":
        return "" if is_only else "otherwise "
    if case.startswith("with "):
        return f"with `{case.removeprefix('with ')}`: "
    comment = re.match(r"\(\?#(.*?)\)", case)
    return f"{comment[1]}: " if comment else f"{' or '.join(f'`{one}`' for one in case.split('|'))}: "


if __name__ == "__main__":
    print(format_page(), end="")

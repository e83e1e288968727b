"""Words that people type to `sweep` as other tools have them, and the line with `--over` that does what is meant."""

import re
from collections.abc import Iterator, Sequence

from robotrain.cli.options import ComposedOptions
from robotrain.cli.typed_program import LineProgram
from robotrain.errors import Problem
from robotrain.line_edits import LineOptions, TypedOption, split_line, suggest_line
from robotrain.messages import Messages
from robotrain.sweeps.space import NUMBER, OVER_FLAG

make_problem = Messages(__file__)

MULTIRUN_FLAGS = ("-m", "--multirun", "--grid", "--grid-search")
"""What other tools call a run over several values."""
PARALLEL_FLAGS = ("-J", "-j", "--jobs", "--n-jobs", "--num-jobs", "--parallel", "--max-parallel", "--concurrency")
"""What other tools call the number of trials that run at the same time."""
ARRAY_FLAGS = ("--array", "-a", "-t", *PARALLEL_FLAGS)
"""What schedulers call the numbers of a job array."""
ARRAY = re.compile(r"(?:[\w.-]*\[)?(?P<numbers>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)\]?(?:%(?P<limit>\d+))?")
VALUES = re.compile(r"[^\s,{}\[\]()'\"=]+(?:,[^\s,{}\[\]()'\"=]+)+|\d+\.\.\d+")
"""Several values: `0.1,0.2` or `1..5`."""
ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?P<values>.+)")
AT_MOST_FLAG, SEED = "--at-most", "seed"


def make_sweep_line_problem(
    line: Sequence[str], options: ComposedOptions, program: LineProgram | None
) -> Problem | None:
    """Return the problem of a line whose values that vary stand in the words of other tools; None for any other line.

    :param line: what was typed after `robotrain`.
    """
    sweep_line = _SweepLine(options, program)
    sweep_line.read(line[1:])
    if not sweep_line.corrections:
        return None
    title, *others = dict.fromkeys(sweep_line.corrections)
    reason = " ".join(f"{text[:1].upper()}{text[1:]}." for text in others)
    before, after = sweep_line.join()
    return make_problem("line-sweep", *suggest_line([line[0], *before], after), title=title, why=reason)


class _SweepLine:
    """A line of `sweep`, in which values that vary become those of `--over`."""

    def __init__(self, options: ComposedOptions, program: LineProgram | None) -> None:
        self.options, self.program = options, program
        self.corrections: list[str] = []
        """What was not as `sweep` takes it, in words."""
        self.values_by_name: dict[str, str] = {}
        """The values of each `--over`."""
        self.before: list[str] = []
        self.after: list[str] = []
        self.array_numbers = ""
        """Those of a job array, as `--over` takes them."""

    def read(self, words: Sequence[str]) -> None:
        """Read the line, and note its corrections."""
        switches = self.options.list_switches()
        typed_options = [*split_line(words, LineOptions({}, frozenset((*switches, *MULTIRUN_FLAGS))))]
        last_name = ""
        for option in (option for option in typed_options if not option.is_after):
            word = option.words[0]
            if option.words == (OVER_FLAG,):  # `--over --lr=1,2`: the next word has the values
                continue
            if option.name.startswith(f"{OVER_FLAG}="):
                last_name = self._read_over(option.value)
            elif not option.name and last_name and re.fullmatch(NUMBER, word.strip(",")):
                self._add_values(last_name, word.strip(","))
            elif not self._read_foreign(option) and not self._read_assignment(option) and not self._read_list(option):
                self.before += option.words
        for option in (option for option in typed_options if option.is_after):
            if self.values_by_name or not self._read_argument(option):
                self.after += option.words
        if self.array_numbers and not self.values_by_name:
            self.values_by_name[SEED] = self.array_numbers

    def join(self) -> tuple[list[str], list[str]]:
        """Return the words before and after `--`."""
        over_words = [word for name, text in self.values_by_name.items() for word in (OVER_FLAG, f"{name}={text}")]
        return [*self.before, *over_words], [*self.after, *self._list_missing_arguments()]

    def _read_over(self, text: str) -> str:
        """Take the values of an `--over`, and return their name."""
        name, equals, values = text.partition("=")
        typed_values = values.strip()
        words = typed_values.split()
        inner_values = ",".join(re.split(r"[\s,]+", typed_values[1:-1].strip()))
        is_bracketed = typed_values[:1] + typed_values[-1:] in ("[]", "()") and VALUES.fullmatch(inner_values)
        is_spaced = len(words) > 1 and all(re.fullmatch(NUMBER, word) for word in words)
        plain_values = inner_values if is_bracketed else values
        plain_values = ",".join(words) if is_spaced else plain_values
        if name in self.values_by_name:
            self._add_values(name, plain_values)
            return name
        if plain_values != values:
            self._correct(f"the values of {OVER_FLAG} stand in one word, with commas between them")
        self.values_by_name[name] = plain_values
        return name if equals else ""

    def _add_values(self, name: str, values: str) -> None:
        self.values_by_name[name] = f"{self.values_by_name[name].rstrip(',')},{values}"
        self._correct(f"the values of {OVER_FLAG} stand in one word, with commas between them")

    def _read_foreign(self, option: TypedOption) -> bool:
        """Return whether an option is one of other tools, and take its meaning."""
        flag = option.words[0].partition("=")[0]
        if flag in self.options.flags or (self.program and flag in self.program.options):
            return False
        if flag in MULTIRUN_FLAGS and not any(word.startswith("python") for word in self.before):
            self._correct(f"{flag} is not needed: a sweep runs every combination of {OVER_FLAG}")
            return True
        if flag in PARALLEL_FLAGS and option.value.isdecimal():
            self._correct(f"{AT_MOST_FLAG} is how many trials run at the same time, not {flag}")
            self.before += [AT_MOST_FLAG, option.value]
            return True
        array = ARRAY.fullmatch(option.value)
        if flag not in ARRAY_FLAGS or array is None:
            return False
        self._correct(f"{flag} is not needed: each combination of {OVER_FLAG} is a trial")
        if array["limit"]:
            self.before += [AT_MOST_FLAG, array["limit"]]
        self.array_numbers = array["numbers"].replace("-", "..")
        return True

    def _read_assignment(self, option: TypedOption) -> bool:
        """Return whether a word is `NAME=V,V`, which varies."""
        match = None if option.name else ASSIGNMENT.fullmatch(option.words[0])
        values = match["values"].strip("[]()") if match else ""
        if match is None or not VALUES.fullmatch(values):
            return False
        self._correct(f"values that vary are those of {OVER_FLAG}")
        self.values_by_name[match["name"]] = values
        return True

    def _read_list(self, option: TypedOption) -> bool:
        """Return whether an option has several values where it takes one, which vary then."""
        flag = option.words[0].partition("=")[0]
        values = option.value.strip("[]()")
        name = self.options.flags.get(flag, "")
        parameter = self.options.declared.get(name)
        is_number = parameter is not None and parameter.bare_type in (int, float)
        is_of_program = self.program is not None and not name
        if not flag.startswith("--") or not VALUES.fullmatch(values) or not (is_number or is_of_program):
            return False
        self._correct(f"values that vary are those of {OVER_FLAG}")
        self.values_by_name[parameter.name if parameter and name else _make_name(flag)] = values
        return True

    def _read_argument(self, option: TypedOption) -> bool:
        """Return whether an argument of the program has several values in a line that varies nothing."""
        name, values = _make_name(option.name), option.value.strip("[]()")
        if self.program is None or not option.name or not VALUES.fullmatch(values):
            return False
        self._correct(f"values that vary are those of {OVER_FLAG}, and {{{name}}} stands for each of them")
        self.values_by_name[name] = values
        if not option.name.startswith("-") and self.program.options:  # of Hydra, which this program is not for
            return True
        is_joined = "=" in option.words[0]
        self.after += [f"{option.name}={{{name}}}"] if is_joined else [option.name, f"{{{name}}}"]
        return True

    def _list_missing_arguments(self) -> Iterator[str]:
        """Yield the options by which the program gets the values that vary, unless its command has them."""
        if self.program is None:
            return
        for name in self.values_by_name:
            placeholder = f"{{{name}}}"
            is_used = any(placeholder in word for word in (*self.after, *self.program.command))
            option = self.program.find_meant_option(f"--{name}") if self.program.options else f"--{name}"
            if not is_used and option:
                yield from (option, placeholder)

    def _correct(self, text: str) -> None:
        self.corrections.append(text)


def _make_name(option: str) -> str:
    """Return the name of the parameter for an option of a program."""
    return option.lstrip("-+~").replace("-", "_").replace(".", "_").replace("/", "_")

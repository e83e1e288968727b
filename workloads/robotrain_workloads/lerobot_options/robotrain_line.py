"""The robotrain line that a translated line becomes, with what a batch script and its loops add to it."""

from collections.abc import Mapping, Sequence
from functools import partial

from robotrain_workloads.lerobot.option_values import is_true
from robotrain_workloads.lerobot_options import option_reasons, option_spelling
from robotrain_workloads.lerobot_options.option_spelling import fill_in_hint
from robotrain_workloads.lerobot_options.program_line import (
    WANDB_MODE_VARIABLE,
    ProgramLine,
    list_variables,
    replace_variable,
)
from robotrain_workloads.lerobot_options.translated_options import TranslatedOptions
from robotrain_workloads.line_translation.batch_options import BatchOptions
from robotrain_workloads.line_translation.translated_line import TranslatedLine

WANDB = "wandb.enable"
NODES_FLAG = "--num-nodes"
OWN_PLACES = ("output_dir", "job_name")
"""Options that each run of robotrain has a value of its own for."""


class RobotrainLine:
    """A line of `robotrain submit`, or of `robotrain sweep` for a program that stands in a loop."""

    def __init__(self, options: TranslatedOptions, program: ProgramLine, default_workload: str) -> None:
        self.options, self.program = options, program
        self.workload_words = () if options.workload.name == default_workload else (options.workload.name,)
        self.platform = "PLATFORM"
        self.platform_words: list[str] = []
        """Settings of the platform that a batch script asks for."""
        self.varied: dict[str, tuple[str, ...]] = {}
        """Values of parameters that a loop of a script gives, by the parameter's flag."""
        self.stand_ins: dict[str, str] = {}
        """Words that people replace, each with one that stands for it when the line is checked."""

    def add_batch_options(self, batch: BatchOptions) -> None:
        """Add what a batch script asks for besides its program."""
        self.platform = batch.platform or self.platform
        self.options.left_out |= batch.left_out
        self.options.refused |= batch.refused
        for option, words in batch.flags:
            if words[0] == NODES_FLAG:
                self.program.flags.append((option, (words[0], words[1])))
            else:
                self.platform_words += words

    def add_loops(self, loops: Mapping[str, Sequence[str]]) -> None:
        """Take what loops of a script vary as parameters of a sweep, and the first of their values for all else.

        :param loops: values by the variable of a loop that the line is in.
        """
        options = self.options
        for variable, loop_values in loops.items():
            looped_options = [name for name, value in options.texts.items() if variable in list_variables(value or "")]
            place_options = [name for name in looped_options if name in OWN_PLACES]
            options.left_out |= {f"--{name}": option_reasons.LOOP_PLACE for name in place_options}
            options.texts = {name: value for name, value in options.texts.items() if name not in place_options}
            for name in (name for name in looped_options if name not in place_options):
                option_text = options.texts[name] or ""
                replaced_texts = tuple(replace_variable(option_text, variable, value) for value in loop_values)
                words = fill_in_hint(options.find_hint(name) or "", replaced_texts[0]) if replaced_texts else None
                flags = [parameter.flag for parameter in options.parameters]
                is_alone = len(looped_options) - len(place_options) == 1
                if (
                    is_alone
                    and words
                    and words[0] in flags
                    and not any("," in option_text for option_text in replaced_texts)
                ):
                    options.texts[name] = replaced_texts[0]
                    self.varied[words[0]] = replaced_texts
                    options.notes[f"for {variable}"] = option_reasons.LOOP_NOTE
                else:
                    options.refused[f"--{name}"] = option_reasons.LOOP.format(variable)

    def make_line(self) -> TranslatedLine:
        """Return the line."""
        options = self.options
        rest_words = ["--", *options.rest] if options.rest else []
        flags = [word for words in options.flags.values() for word in words]
        words = (
            "robotrain",
            "submit",
            *self.workload_words,
            "--platform",
            self.platform,
            *self.platform_words,
            *flags,
            *rest_words,
        )
        respell = partial(option_spelling.respell_problem, spellings=options.spellings)
        mode = self.program.wandb_mode
        is_logged = is_true(options.texts.get(WANDB)) and mode not in ("", "null", "online")
        variables = {WANDB_MODE_VARIABLE: mode} if is_logged else {}
        if not self.varied:
            return TranslatedLine(
                words, options.left_out, options.notes, options.refused, respell, self.stand_ins, variables
            )
        fixed_words = [
            word for flag, flag_words in options.flags.items() if flag not in self.varied for word in flag_words
        ]
        varied_words = [
            word
            for flag, varied_values in self.varied.items()
            for word in ("--over", self.format_values(flag, varied_values))
        ]
        sweep = (
            "robotrain",
            "sweep",
            *self.workload_words,
            "--platform",
            self.platform,
            *self.platform_words,
            *fixed_words,
            *varied_words,
            *rest_words,
        )
        return TranslatedLine(
            sweep, options.left_out, options.notes, options.refused, respell, self.stand_ins, variables, checked=words
        )

    def format_values(self, flag: str, values: Sequence[str]) -> str:
        """Return the values of a parameter as a sweep takes them: `seed=1,2,3`."""
        name = next(parameter.name for parameter in self.options.parameters if parameter.flag == flag)
        return f"{name}={','.join(values)}"

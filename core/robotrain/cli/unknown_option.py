"""The problem of an option that a job command does not have: whose it is, what does the same, or the nearest one."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from robotrain.cli.foreign_words import find_foreign_option, is_variable, list_commands_with
from robotrain.cli.misspelt_option import find_misspelt_option, format_option
from robotrain.cli.options import ComposedOptions, list_flags
from robotrain.cli.typed_program import LineProgram, read_program
from robotrain.config.managed_options import fill_in_value, replace_managed_option
from robotrain.config.option_synonyms import find_synonym
from robotrain.config.own_parameters import NAME_PATTERN
from robotrain.config.selection import Choice, is_job_file, load_or_none, read_given_parameters
from robotrain.config.trainer_args import explain_option_of_program, find_option_of_program
from robotrain.config.values import DEFAULT_ORIGIN, PARAM_FLAG
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.nearest_name import find_nearest_name
from robotrain.plugins.discovery import read_claims
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

GLOBAL_SWITCHES = ("--no-plugins", "--without", "--plugins-from")
"""Options of `robotrain` itself, which stand before the command."""
JOB_COMMANDS = ("submit", "render", "explain", "sweep", "pipeline train-eval")
"""Commands whose options stand beside those of a source."""
MAX_COMMANDS_IN_TITLE = 2
MAX_LISTED_OPTIONS = 12
NEEDLESS = "not needed: "
"""What hints of options begin with that a job is the same without."""


def make_unknown_option_problem(
    flag: str,
    value: str,
    choice: Choice,
    options: ComposedOptions,
    plugins: Plugins,
    after_dashes: Sequence[str] = (),
) -> Problem:
    """Return the problem of an unknown option. A suggestion repeats its value only if that is no secret.

    :param after_dashes: what stands after `--`.
    """
    redacted_flag = redact(flag)
    unknown_option = _UnknownOption(redact(flag), value, choice, options, plugins, after_dashes)
    ways_to_explain = (
        unknown_option.explain_argument,
        unknown_option.explain_hint,
        unknown_option.explain_variable,
        unknown_option.explain_file,
        unknown_option.explain_foreign,
        unknown_option.explain_owner,
        unknown_option.explain_job_command,
        unknown_option.explain_managed,
        unknown_option.explain_workload,
        unknown_option.explain_program,
        unknown_option.explain_spelling,
        unknown_option.explain_other_command,
        unknown_option.explain_own_parameter,
        unknown_option.explain_unknown_argument,
    )
    if problem := next(filter(None, (explain() for explain in ways_to_explain)), None):
        return problem
    kinds = [claim for claim in read_claims() if claim.family == "source"] if plugins.without else []
    excluded_kinds = {claim.dotted: name for claim in kinds for name in plugins.without if claim.matches(name)}
    words = " ".join(f"--without {name}" for name in dict.fromkeys(excluded_kinds.values()))
    reason = f"The options of {', '.join(excluded_kinds)} are switched off by {words}." if excluded_kinds else ""
    return make_problem("option-unknown.none", where=redacted_flag, why=reason)


class _UnknownOption:
    """An option that the chosen workload, platform and command do not have, and what may be said about it."""

    def __init__(
        self,
        flag: str,
        value: str,
        choice: Choice,
        options: ComposedOptions,
        plugins: Plugins,
        after_dashes: Sequence[str],
    ) -> None:
        self.flag, self.value, self.choice, self.options, self.plugins = flag, value, choice, options, plugins
        self.platform: Platform | None = load_or_none(plugins.platform, choice.platform)
        self.workload: Workload | None = load_or_none(plugins.workload, choice.workload)
        self.given = read_given_parameters(options.given, choice.file)
        self.program = read_program(choice, self.workload, after_dashes)

    def replace(self, *texts: str) -> Iterable[Suggestion]:
        """Return the ways with a text to type in the place of the option."""
        return (Suggestion(option_text, replaces=self.flag) for option_text in texts if option_text)

    def explain_hint(self) -> Problem | None:
        """Explain an option that the chosen workload or platform knows from other tools."""
        name = self.flag.replace("_", "-")
        if self.platform and (text := self.platform.translate_option(name, self.value)):
            ways = self.replace(text)
            return make_problem("option-elsewhere.hint", *ways, where=self.flag, name=self.platform.name, why="")
        for plugin in (self.workload, self.platform):
            if plugin and (hint := plugin.option_hints.get(name)):
                way = self._fill_in_hint(hint)
                reason = "" if way else fill_in_value(hint, self.value)
                has_no_place = not way and ("--" not in reason or reason.startswith(NEEDLESS))
                ways = [*self.replace(way), *[suggest_leaving_out(self.flag)] * has_no_place]
                return make_problem("option-elsewhere.hint", *ways, where=self.flag, name=plugin.name, why=reason)
        return None

    def _fill_in_hint(self, hint: str) -> str:
        """Return the option that a hint is made of, with the typed value if it takes that; empty for other hints."""
        pair = re.fullmatch(r"use (--[a-z][a-z0-9-]*) ([a-z-]+=)VALUE", hint)
        if pair and pair[1] in self.options.flags:
            return format_option(pair[1], f"{pair[2]}{self.value or 'VALUE'}", self.options)
        match = re.fullmatch(r"use (--[a-z][a-z0-9-]*)( [A-Z]+(?:=[A-Z]+)?| [a-z0-9]+)?", hint)
        if not match or match[1] not in self.options.flags:
            return ""
        placeholder = match[2] or ""
        if placeholder.isupper() and ("=" not in placeholder or "=" in self.value):
            return format_option(match[1], self.value, self.options) or format_option(match[1], "", self.options)
        return f"{match[1]}{placeholder}"

    def explain_variable(self) -> Problem | None:
        """Explain a variable of the environment."""
        return self.explain_foreign() if is_variable(self.flag, self.value) else None

    def explain_file(self) -> Problem | None:
        """Explain a job file that is taken for the value of an option."""
        if not is_job_file(self.value) or list_commands_with(self.flag, self.plugins):
            return None
        meant_option = find_misspelt_option(self.flag, self.options.flags)
        if meant_option and self.is_switch(meant_option):
            return None
        if any(family == "platform" for family, _ in find_option_owners(self.flag, self.choice, self.plugins)):
            return None
        readers = [workload.name for workload in self.plugins.workloads().values() if workload.read_config]
        if self.flag == "--config" and readers and not _has_job_keys(self.value):
            submit_lines = (f"robotrain submit {name} --config {shlex.quote(self.value)} …" for name in readers)
            return make_problem("option-unknown.config", *map(Suggestion, submit_lines), where=self.flag)
        ways = self.replace(f"robotrain submit {shlex.quote(self.value)} …")
        return make_problem("option-unknown.job-file", *ways, where=self.flag)

    def explain_argument(self) -> Problem | None:
        """Explain an option of the user's program that stands among the words."""
        program = self.program
        if program is None or (self.platform and self.flag in self.platform.option_hints):
            return None
        if program.uses_parameter(self._parameter_name):
            return None
        families = [family for family, _ in find_option_owners(self.flag, self.choice, self.plugins)]
        if program.options:
            option = self._find_option_of_file(program)
        elif "platform" in families or (not families and find_misspelt_option(self.flag, self.options.flags)):
            option = ""
        else:
            option = self.flag if self.choice.program or not self._format_own_parameter() else ""
        if not option:
            return None
        ways = self.replace(self._format_program_option(option))
        return make_problem("option-unknown.after-dashes", *ways, where=self.flag, program=program.name)

    def _find_option_of_file(self, program: LineProgram) -> str:
        """Return the option of the program that is meant, unless one of robotrain is nearer; empty for none."""
        if option := program.find_option(self.flag):
            return option
        if find_foreign_option(self.flag, self.value, self.workload, self.options.flags):
            return ""  # it has a meaning of its own: `--output` of sbatch is not `--out`
        synonym = find_synonym(self.flag, program.options, exact=True)
        if synonym and self.flag.replace("_", "-") not in self.options.flags:
            return synonym
        candidates = [program.find_meant_option(self.flag), find_misspelt_option(self.flag, self.options.flags)]
        meant_option = max(candidates, key=lambda option: SequenceMatcher(None, self.flag, option).ratio())
        return meant_option if meant_option in program.options else ""

    def explain_unknown_argument(self) -> Problem | None:
        """Explain an option that the user's program certainly does not have."""
        if self.program is None or not self.program.options:
            return None
        options = [option for option in self.program.options if option not in ("-h", "--help")]
        listed_options = ", ".join(options[:MAX_LISTED_OPTIONS]) or "none"
        return make_problem(
            "option-unknown.nobody", where=self.flag, program=redact(self.program.name), options=listed_options
        )

    def _format_program_option(self, option: str) -> str:
        """Return an option of the user's program with the typed value, after `--`."""
        return f"-- {option}{f' {shlex.quote(self.value)}' if self.value else ''}"

    def _list_argument_texts(self, own_parameter: str) -> list[str]:
        """Return what to type for an option of the user's program: as one of it, unless a parameter is asked for."""
        is_asked = self.program is not None and self.program.uses_parameter(self._parameter_name)
        return [own_parameter] if is_asked else [self._format_program_option(self.flag), own_parameter]

    def explain_owner(self) -> Problem | None:
        """Explain an option of another platform or workload."""
        if not (owners := list(find_option_owners(self.flag, self.choice, self.plugins))):
            return None
        is_of_workloads = all(family == "workload" for family, _ in owners)
        if is_of_workloads and self.program and not self.program.uses_parameter(self._parameter_name):
            return self._explain_beginning() or self.explain_unknown_argument()
        if is_of_workloads and (of_program := self.explain_program()):
            return of_program
        choice = self.choice
        choice_text = f"{choice.workload} on {choice.platform}" if choice.platform else choice.workload
        is_default = choice.origins[0] == DEFAULT_ORIGIN
        other_ways = (
            Suggestion(f"--platform {name}" if family == "platform" else f"robotrain submit {name} …")
            for family, name in owners
            if family == "platform" or is_default
        )
        is_letter = len(self.flag) == 2  # it may be meant for any option that begins with it
        if is_of_workloads and (own_parameter := self._format_own_parameter()):
            ways = [*self.replace(*self._list_argument_texts(own_parameter))]
        else:
            ways = [*[suggest_leaving_out(self.flag)] * (not is_letter), *other_ways]
        owner_names = " and ".join(map(" ".join, owners))
        return make_problem("option-elsewhere.of-other", *ways, where=self.flag, owners=owner_names, here=choice_text)

    @property
    def _parameter_name(self) -> str:
        """The name of the user's own parameter that the option may mean."""
        return self.flag.lstrip("-").replace("-", "_")

    def _format_own_parameter(self) -> str:
        """Return the option as a parameter of the user's own; empty where a job has none."""
        name = self._parameter_name
        if not self.workload or not self.workload.own_command or not re.fullmatch(NAME_PATTERN, name):
            return ""
        if self.program and not self.program.uses_parameter(name):
            return ""
        assignment = f"{name}={self.value or 'VALUE'}"
        return format_option(PARAM_FLAG, assignment, self.options)

    def explain_own_parameter(self) -> Problem | None:
        """Explain an option that the user's program may have."""
        if not (own_parameter := self._format_own_parameter()):
            return None
        ways = self.replace(*self._list_argument_texts(own_parameter))
        return make_problem("option-unknown.own-parameter", *ways, where=self.flag, name=self._parameter_name)

    def explain_foreign(self) -> Problem | None:
        """Explain an option of other tools."""
        foreign = find_foreign_option(self.flag, self.value, self.workload, self.options.flags)
        if foreign is None:
            return None
        reason, ways = foreign
        return make_problem("option-unknown.none", *ways, where=self.flag, why=reason)

    def explain_job_command(self) -> Problem | None:
        """Explain an option of other commands that take a job, or of robotrain itself."""
        if self.flag in GLOBAL_SWITCHES:
            ways = self.replace(f"robotrain {self.flag} … submit …")
            return make_problem("option-elsewhere.global", *ways, where=self.flag)
        commands = list_commands_with(self.flag, self.plugins)
        return self._name_commands(commands) if any(name in JOB_COMMANDS for name in commands) else None

    def explain_other_command(self) -> Problem | None:
        """Explain an option of commands that take no job."""
        commands = list_commands_with(self.flag, self.plugins)
        return self._name_commands(commands) if commands else None

    def _name_commands(self, command_names: Sequence[str]) -> Problem:
        way = suggest_leaving_out(self.flag)
        if len(command_names) > MAX_COMMANDS_IN_TITLE:
            return make_problem("option-elsewhere.commands", way, where=self.flag, commands=", ".join(command_names))
        owners = " and ".join(f"`robotrain {name}`" for name in command_names)
        return make_problem("option-elsewhere.command", way, where=self.flag, owners=owners)

    def explain_managed(self) -> Problem | None:
        """Explain an option of the workload's program that robotrain sets."""
        if not self.workload or self.flag not in self.workload.managed_options:
            return None
        return self._name_replacement(self.workload, self.flag)

    def _name_replacement(self, workload: Workload, option: str) -> Problem:
        reason, ways = replace_managed_option(option, self.value, workload)
        return make_problem("option-owned", *self.replace(*ways), where=self.flag, option=option, why=reason)

    def explain_workload(self) -> Problem | None:
        """Explain `--workload`, and options that another workload knows from other tools."""
        flag, workloads = self.flag, self.plugins.workloads()
        if flag == "--workload":
            name = self.value if self.value in workloads else find_nearest_name(self.value, workloads) or "WORKLOAD"
            ways = self.replace(f"robotrain submit {name} …")
            return make_problem("option-unknown.workload", *ways, where=flag, workloads=", ".join(workloads))
        is_default = self.choice.origins[0] == DEFAULT_ORIGIN  # else the user chose, and means no other one
        for name, workload in workloads.items() if is_default else ():
            if hint := workload.option_hints.get(flag):
                return make_problem("option-elsewhere.other-workload", where=flag, name=name, hint=hint)
        return None

    def explain_program(self) -> Problem | None:
        """Explain an option of the workload's program."""
        if self.flag.replace("_", "-") in self.options.flags:
            return None
        if self.workload and (
            explanation := explain_option_of_program(self.workload, self.flag, self.value, self.given)
        ):
            reason, ways = explanation
            return make_problem("option-unknown.of-program", *self.replace(*ways), where=self.flag, why=reason)
        option = find_option_of_program(self.workload, self.flag, self.value) or ("." in self.flag and f"{self.flag}=…")
        if not option:
            return None
        if self.workload and (name := option.partition("=")[0]) in self.workload.managed_options:
            return self._name_replacement(self.workload, name)
        program = self.workload.program if self.workload else "the trainer"
        way = self.replace(f"-- {option}")
        return make_problem("option-unknown.after-dashes", *way, where=self.flag, program=program)

    def explain_spelling(self) -> Problem | None:
        """Explain a misspelt option."""
        meant_option = find_misspelt_option(self.flag, self.options.flags)
        has_value = meant_option and (self.value.lower() in ("true", "false") or not self.is_switch(meant_option))
        way = meant_option and format_option(meant_option, self.value if has_value else "", self.options)
        return make_problem("option-unknown.misspelt", *self.replace(way), where=self.flag) if way else None

    def _explain_beginning(self) -> Problem | None:
        """Explain an option that is the first word of one: `--experiment` of `--experiment-name`."""
        meant_option = find_misspelt_option(self.flag, self.options.flags) or ""
        return self.explain_spelling() if meant_option.startswith(f"{self.flag}-") else None

    def is_switch(self, flag: str) -> bool:
        """Return whether an option of the command takes no value, so that the word after it is another argument."""
        return next(not option.metavar for option in self.options.options if option.name == self.options.flags[flag])


def _has_job_keys(file: str) -> bool:
    """Return whether a file has a key of a job file, or cannot be read."""
    from robotrain.config.job_file import JOB_KEYS  # costs start-up

    try:
        file_text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return True
    return any(re.search(rf"^{key}\s*:", file_text, re.MULTILINE) for key in JOB_KEYS)


def find_option_owners(flag: str, choice: Choice, plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Yield family and name of the platforms and workloads that have an option; the chosen ones are left out."""
    for name, platform in plugins.platforms().items():
        if name != choice.platform and flag in list_flags(platform.settings):
            yield "platform", name
    for name, workload in plugins.workloads().items():
        is_own = flag == PARAM_FLAG and workload.own_command
        inputs = (
            kind.roles[role]
            for kind in plugins.source_kinds().values()
            for role in workload.roles.keys() & kind.roles.keys()
        )
        is_input = any(flag in (role.flag, *role.aliases) for role in inputs)
        if name != choice.workload and (is_own or is_input or flag in list_flags(workload.parameters)):
            yield "workload", name

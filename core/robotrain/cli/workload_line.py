"""Problems of lines that name their workload with other signs, as an option, or as the program that it runs."""

import re
from collections.abc import Sequence

from robotrain.cli.command_factory import split_at_dashes
from robotrain.cli.unknown_words import split_words
from robotrain.errors import Problem
from robotrain.line_edits import suggest_line
from robotrain.messages import Messages
from robotrain.nearest_name import find_nearest_name
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

WORKLOAD_FLAG = "--workload"
"""What people type before the workload, which is a word."""
FOREIGN_OPTION = re.compile(r"--?[\w-]*[._]\w")
"""An option of a workload's own program, whose line is translated."""


def make_workload_problem(words: Sequence[str], line: Sequence[str], plugins: Plugins) -> Problem | None:
    """Return the problem of a workload that is spelt with other signs, or as an option; None for any other line.

    :param words: the words of the line that are no options of robotrain.
    :param line: the command's arguments as they were typed.
    """
    workloads = plugins.list_names("workload")
    before, after = split_at_dashes([*line])
    unknown_options, plain_words = split_words(words)
    if WORKLOAD_FLAG in unknown_options:
        typed_name = unknown_options[WORKLOAD_FLAG]
        name = find_nearest_name(typed_name.replace("_", "-"), workloads)
        is_only = not any(word in workloads for word in plain_words)
        if not name or not is_only:
            return None
        index = next(index for index, word in enumerate(before) if word.partition("=")[0] == WORKLOAD_FLAG)
        rest = before[index + (1 if "=" in before[index] else 2) :]
        way = suggest_line([*before[:index], name, *rest], after or ())
        all_names = ", ".join(workloads)
        return make_problem("option-unknown.workload", *way, where=WORKLOAD_FLAG, workloads=all_names)
    if any(map(FOREIGN_OPTION.match, unknown_options)):
        return None
    for word in plain_words:
        name = word.lower().replace("_", "-")
        if name in workloads and name != word:
            way = suggest_line((name if text == word else text for text in before), after or ())
            return make_problem("word-unknown.misspelt", *way, given=word, word=word, workloads=", ".join(workloads))
    return None


def make_pasted_line_problem(typed_words: Sequence[str], plugins: Plugins) -> Problem | None:
    """Return the problem of a line that is one of a workload's own program; None for any other.

    :param typed_words: the command's arguments as they were typed.
    """
    from robotrain.cli.unknown_command import find_translation  # imports the records of runs

    words, _ = split_at_dashes([*typed_words])
    for index, word in reversed([*enumerate(words)]):  # the translation says `--platform PLATFORM` itself
        if word.partition("=")[0] == "--platform":
            del words[index : index + (1 if "=" in word else 2)]
    way = find_translation(words, plugins)
    return make_problem("line-pasted", way) if way else None

"""Lines about the runs that a command needs: the newest ones, or those that were typed, watched live."""

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from robotrain.cli.command_factory import get_plugins, read_typed_line
from robotrain.errors import Suggestion
from robotrain.line_edits import suggest_line
from robotrain.model.amounts import format_age
from robotrain.redaction import can_repeat
from robotrain.store import records
from robotrain.store.latest_run import iterate_runs_with

MAX_RUNS = 3
"""The newest ones, which a command without its run offers."""
POLICY_COMMANDS = ("register", "publish")
"""Commands that need a run with a policy."""
RUN_ARGUMENT = "RUN"
RUN_FLAGS = ("--run", "--run-name", "--run-id", "--runs", "--id", "--job", "--name")
"""What people type before a run, which is a word."""
RUN_WORD = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
"""What may be a run, a name of one, or the beginning of either."""
FOLLOW_FLAG, WATCH_WORDS = "--follow", ("--watch", "-w", "--follow", "-f", "--live")
"""The option of `logs`, and what other programs call one that shows what is new."""
CHECKPOINT_FLAG, RESUME_FROM_FLAG = "--checkpoint", "--resume-from"
"""The options for a checkpoint of a run: to look at it, and to continue from it."""
WATCHABLE = ("status", "runs", "outputs", "wait")
"""Commands in whose place `watch` shows the same live."""


MAX_NAMESAKES = 5
"""How many runs of one name are offered."""


def describe_namesake(run: str) -> str:
    """Return what tells a run from others of its name: its name, how it ended, as far as that was seen, and its age."""
    record = records.find_readable_record(run)
    if record is None:
        return ""
    status = records.read_final_status(run)
    age = format_age(time.time() - record.created)
    return ", ".join(filter(None, (record.name, status.state if status else "", f"submitted {age}")))


def suggest_newest_runs(usage: str, context: Any) -> Iterator[Suggestion]:
    """Yield the line of a command with the newest runs, where its run was not typed.

    :param usage: the command with what stands for its arguments.
    """
    words = usage.split()
    typed_words = [word for word in read_typed_line(context) if not word.startswith("-")]
    if RUN_ARGUMENT not in words or len(typed_words) > len(words[1 : words.index(RUN_ARGUMENT)]):
        return
    runs = records.iterate_runs(with_steps=False)
    if words[1] in POLICY_COMMANDS:
        from robotrain.pipelines.registrable_runs import make_policy_need  # costs start-up

        runs = iterate_runs_with(make_policy_need(get_plugins(context), with_sweeps=words[1] == "register"))
    for run in islice(runs, MAX_RUNS):
        record = records.find_readable_record(run)
        line_words = [run if word == RUN_ARGUMENT else word for word in words]
        yield Suggestion(" ".join(line_words), record.name if record else "")


def suggest_run_word(flag: str, context: Any) -> Suggestion | None:
    """Return the line with the run as a word, where it was typed as an option: `--run pick`; None for any other."""
    takes_run = any((param.metavar or "").strip("[].") == RUN_ARGUMENT for param in context.command.params)
    if flag not in RUN_FLAGS or not takes_run:
        return None
    line = read_typed_line(context)
    index = next((index for index, word in enumerate(line) if word.partition("=")[0] == flag), None)
    if index is None:
        return None
    _, equals, run = line[index].partition("=")
    words = [*line[:index], *([run] if equals else []), *line[index + 1 :]]
    return next(iter(suggest_line(words)), None)


def suggest_watching(flag: str, flags: Sequence[str], context: Any) -> Suggestion | None:
    """Return what shows the runs that were typed live; None for another option, or a command that shows no runs.

    :param flags: the options of the command.
    """
    if flag not in WATCH_WORDS:
        return None
    if FOLLOW_FLAG in flags:
        return Suggestion(FOLLOW_FLAG)
    if context.command.name not in WATCHABLE:
        return None
    runs = [word for word in read_typed_line(context)[1:] if RUN_WORD.fullmatch(word) and can_repeat(word)]
    return Suggestion(shlex.join(["robotrain", "watch", *runs]), "shows it live")

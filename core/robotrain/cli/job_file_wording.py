"""Problems of lines in a job file, said in the language of that file: `policy_type: act` for `--policy-type act`."""

import re
import shlex
from dataclasses import replace

from robotrain.cli.options import ComposedOptions
from robotrain.errors import LEAVE_OUT, Problem

FILE_PLACE = re.compile(r".*\.ya?ml:\d+")
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def express_in_file(problem: Problem, options: ComposedOptions) -> Problem:
    """Return a problem of a line in a job file in the language of that file: `policy_type: act`."""
    if not FILE_PLACE.fullmatch(problem.where) or problem.code == "setting-not-trusted":  # no file may say it
        return problem
    names_by_flag = {
        flag: options.declared[name].name for flag, name in options.flags.items() if name in options.declared
    }
    title = FLAG.sub(lambda match: names_by_flag.get(match[0], match[0]), problem.title)
    ways = []
    for way in problem.suggestions:
        words = shlex.split(way.text) if way.text.count("'") % 2 == 0 and way.text.count('"') % 2 == 0 else []
        name = names_by_flag.get(words[0]) if len(words) == 2 else None
        if way.text.startswith(LEAVE_OUT):
            ways.append(way._replace(text=FLAG.sub(lambda match: names_by_flag.get(match[0], match[0]), way.text)))
        else:
            ways.append(way._replace(text=f"{name}: {words[1]}") if name else way)
    return replace(problem, title=title, suggestions=tuple(ways))

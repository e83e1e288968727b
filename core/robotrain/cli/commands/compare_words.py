"""Words that people type to `compare`, and the lines that do what is meant."""

from collections.abc import Sequence

from robotrain.errors import Problem
from robotrain.line_edits import suggest_line
from robotrain.messages import Messages

make_problem = Messages(__file__)

PAGE_OPTIONS = ("--to", "--output", "--out", "--output-file", "--html", "--page")
"""Options for a page, which `report` writes."""
BETWEEN = ("vs", "vs.", "versus", "and", "with", "against")
"""Words that stand between policies."""


def find_page_problem(line: Sequence[str]) -> Problem | None:
    """Return the problem of an option for a page; None if there is none.

    :param line: what was typed after `robotrain`.
    """
    flags = [word.partition("=")[0] for word in line]
    page_flag = next((flag for flag in flags if flag in PAGE_OPTIONS), "")
    if not page_flag:
        return None
    index = flags.index(page_flag)
    words = [*line[1:index]]
    following_words = [*line[index + 1 :]]
    _, equals, target = line[index].partition("=")
    if not equals and following_words and "." in following_words[0] and not following_words[0].startswith("-"):
        target = following_words.pop(0)
    runs = [word for word in (*words, *following_words) if not word.startswith("-")]
    ways = suggest_line(["report", *runs, *(["--to", target] if target else [])], remark="writes the page")
    return make_problem("option-elsewhere.page", *ways, where=page_flag)


def find_word_between(policies: Sequence[str]) -> Problem | None:
    """Return the problem of a word such as `vs` between policies; None if there is none."""
    word = next((policy for policy in policies[1:-1] if policy.lower() in BETWEEN), None)
    if word is None:
        return None
    compared_policies = [policy for policy in policies if policy.lower() not in BETWEEN]
    return make_problem("word-unknown.between", *suggest_line(["compare", *compared_policies]), given=word)

"""Rules about the syntax of a Python program: a file that Python cannot read ends the job at its start."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.plugins.manager import get_plugins
from robotrain.redaction import redact
from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain_workloads import code_rules
from robotrain_workloads.command import program_files
from robotrain_workloads.command.program_files import THIS_MINOR, SyntaxFault
from robotrain_workloads.command.rules import find_program_file

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

MAX_TEXT = 80
NEWER_SYNTAX = re.compile(
    r"""
    \b[rR]?[fFtT][rR]?["']                       # 3.12: quotes and comments in an f-string's braces; 3.14: t-strings
    | ^type\s+\w+ | ^(async\s+)?def\s+\w+\s*\[ | ^class\s+\w+\s*\[    # 3.12: type aliases, type parameters
    | ^except\*?\s[^(]*,                         # 3.14: several exceptions without parentheses
    """,
    re.VERBOSE,
)
"""Lines that only a newer Python than this one may read, by "What's New in Python" 3.12 to 3.14."""


def check_syntax(job: "Job") -> Iterator[Problem]:
    """Refuse a program with a file that the Python of its job cannot read; warn where a newer Python may read it."""
    name = find_program_file(job)
    code = code_rules.find_code(job)
    if not name.endswith(".py") or code is None or code.kind != LOCAL_KIND:
        return
    version = _find_named_version(job)
    minor = _get_minor(version)
    files = program_files.read_program(Path(code.uri), name)
    faults = (file.find_fault(min(minor, THIS_MINOR)) for file in files)
    fault = next((fault for fault in faults if fault), None)
    if fault is None:
        return
    may_be_newer = minor > THIS_MINOR or not version
    if may_be_newer and NEWER_SYNTAX.search(fault.text):
        yield _make_doubt(fault)
    else:
        yield _make_fault(fault)


def _find_named_version(job: "Job") -> str:
    """Return the version of Python that the job names, or that of the environment that it names; empty for neither."""
    if not job["install"]:
        return ""
    if name := job["shipped_environment"]:
        plugin = load_container_plugin(get_plugins().workload(str(name)).container_plugin, WorkloadContainerPlugin)
        return plugin.ENVIRONMENT.python
    return str(job["python_version"] or "")


def _get_minor(version: str) -> int:
    """Return the second number of a version of Python 3; this Python's for none."""
    digits = version.split(".")[1:2]
    return int(digits[0]) if digits and digits[0].isdigit() else THIS_MINOR


def _make_fault(fault: SyntaxFault) -> Problem:
    fault_text, path = fault.text[:MAX_TEXT], redact(fault.path)
    return make_problem("program-unreadable", where=f"{path}:{fault.line}", given=fault_text, reason=fault.reason)


def _make_doubt(fault: SyntaxFault) -> Problem:
    fault_text, path = fault.text[:MAX_TEXT], redact(fault.path)
    return make_problem("program-unreadable.newer", where=f"{path}:{fault.line}", given=fault_text, minor=THIS_MINOR)

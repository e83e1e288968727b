"""Rules of `--secret NAME=REFERENCE` that platforms share: which variables may be secrets, and what is a reference."""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress

from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE, looks_like_secret

from robotrain.cluster.settings import SECRET_FLAG
from robotrain.errors import Problem
from robotrain.messages import Messages

make_problem = Messages(__file__)

VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
RESERVED_VARIABLES = frozenset([
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TMPDIR", "LANG", "IFS", "ENV", "BASH_ENV", "UV",
    "VIRTUAL_ENV", "CONDA_PREFIX",
])  # fmt: skip
RESERVED_PREFIXES = ("ROBOTRAIN_", "MLFLOW_", "PYTHON", "LD_", "DYLD_", "CUDA_", "NVIDIA_")
RESERVED_WHY = (
    "The system, Python, MLflow, robotrain or the platform reads it: PATH, HOME, PYTHON…, LD_…, MLFLOW_…, ROBOTRAIN_…."
)


def is_reserved_variable(name: str, of_platform: Collection[str] = ()) -> bool:
    """Return whether a program's variable of that name would change how it starts, or what robotrain tells it.

    :param of_platform: variables that the platform sets; one that ends with `_` stands for all that begin with it.
    """
    platform_prefixes = tuple(name for name in of_platform if name.endswith("_"))
    if name == NOTIFY_VARIABLE:  # no program gets it
        return False
    return name in {*RESERVED_VARIABLES, *of_platform} or name.startswith((*RESERVED_PREFIXES, *platform_prefixes))


def check_secrets(
    text: str | None, parse_reference: Callable[[str, str], object], form: str, of_platform: Collection[str] = ()
) -> Iterator[Problem]:
    """Check the setting `secrets` of a platform.

    :param parse_reference: called with name and reference; raises ValueError with a sentence that does not contain
        the reference.
    :param form: the form of a reference, for suggestions: `FILE`.
    :param of_platform: as in `is_reserved_variable`.
    """
    for name, reference in load_pairs(text).items():
        if looks_like_secret(name) or not re.fullmatch(VARIABLE_NAME, name, re.ASCII):
            yield make_problem("variable-invalid.name", where=SECRET_FLAG, form=form)
        elif is_reserved_variable(name, of_platform):
            yield make_problem("variable-invalid.reserved", where=SECRET_FLAG, given=name, why=RESERVED_WHY, form=form)
        else:
            yield from _check_reference(name, reference, parse_reference, form)


def _check_reference(
    name: str, reference: str, parse_reference: Callable[[str, str], object], form: str
) -> Iterator[Problem]:
    reason = ""
    if looks_like_secret(reference):
        reason = "This looks like the secret itself. A job contains only references."
    else:
        try:
            parse_reference(name, reference)
        except ValueError as error:
            reason = str(error)
    if reason:  # the problem does not show the reference, which may be a secret
        yield make_problem("secret-reference-invalid", where=f"{SECRET_FLAG} {name}", why=reason, form=form)


def check_secret_files(secrets: Mapping[str, str]) -> Iterator[Problem]:
    """Check that no other user may read a file with a secret; that it can be read is the runtime's check."""
    for name, file in secrets.items():
        with suppress(OSError):
            yield from judge_secret_file(name, file, stat.S_IMODE(os.stat(file).st_mode))


def judge_secret_file(name: str, file: str, mode: int) -> Iterator[Problem]:
    """Check that no other user may read the file with a secret, by its mode. Pure."""
    if mode & 0o077:
        yield make_problem("secret-exposed", where=SECRET_FLAG, given=file, name=name, mode=mode, path=file)

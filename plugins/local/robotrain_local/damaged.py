"""A plan that was changed by hand, or cut short, since it was rendered."""

import zipfile

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_runtime.document import DocumentError

from robotrain_local.spec import SpecError

ERRORS = (SpecError, DocumentError, zipfile.BadZipFile, UnicodeDecodeError, KeyError)
"""What reading such a plan raises."""


def problem(error: Exception) -> Problem:
    """What is wrong with it."""
    why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return Problem(
        code="plan-damaged",
        stage=Stage.PARSE,
        title="the plan cannot be read",
        why=f"{why}.",
        instead=(Instead("robotrain render … --to DIR", "makes it anew"),),
    )


def rejected(error: Exception) -> Rejected:
    """The same, to raise."""
    return Rejected([problem(error)])

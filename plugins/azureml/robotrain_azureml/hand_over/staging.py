"""The job as files of this machine, for as long as the SDK reads them: the plan's own, and nothing beside them. A
`.git`, an ignore file, a link would each have its say in what is sent.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage

from robotrain_azureml import order
from robotrain_azureml.hand_over.handed import NEEDED


@contextlib.contextmanager
def staged(plan: Plan, spec: bytes) -> Iterator[Path]:
    """The file of the job, with its code beside it. spec: what it holds, in place of the plan's. Raises Rejected."""
    with contextlib.ExitStack() as there:
        try:
            folder = Path(there.enter_context(tempfile.TemporaryDirectory(prefix="robotrain-")))
            (folder / order.CODE).mkdir()
            for path in NEEDED:
                (folder / path).write_bytes(spec if path == order.SPEC else plan.files[path])
        except OSError as error:
            raise Rejected([_no_room(error)]) from error
        yield folder / order.SPEC


def _no_room(error: OSError) -> Problem:
    return Problem(
        code="not-staged",
        stage=Stage.SUBMIT,
        title="the job could not be written to a temporary folder",
        given=str(error.filename or tempfile.gettempdir()),
        why=f"{error.strerror or error}.",
        instead=(Instead("TMPDIR=/path/to/folder", "in the environment, for another one"),),
    )

"""A run of this machine that another state folder, or another user, has the record of: found by its run folder."""

import os
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import SubmittedRun
from robotrain_runtime.contract.document import MAX_DOCUMENT_BYTES
from robotrain_runtime.contract.files import read_limited_file

from robotrain_local import spec
from robotrain_local.render import DOCUMENT_FILE

make_problem = Messages(__file__)


def find_submitted(text: str) -> SubmittedRun | None:
    """Return the run in a folder; None if it is no run folder of this platform. Raise Rejected."""
    folder = Path(text).expanduser().absolute()
    if os.sep not in text or not folder.is_dir():
        return None
    try:
        created = (folder / spec.SPEC_FILE).stat().st_mtime
        document = read_limited_file(folder / DOCUMENT_FILE, MAX_DOCUMENT_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Rejected([make_problem("run-not-adopted", given=str(folder), why=why)]) from None
    return SubmittedRun(document, lambda job, settings: {"folder": str(folder)}, created)

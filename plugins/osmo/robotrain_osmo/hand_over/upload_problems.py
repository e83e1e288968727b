"""What is wrong with an upload, in words."""

from collections.abc import Iterator

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Stage
from robotrain_azure import sendable

from robotrain_osmo.order import Upload


def changed(plan: Plan, upload: Upload, when: str) -> Iterator[Problem]:
    """The folder is not what the workflow expects: it would refuse it there."""
    for why in sendable.unlike(plan, upload.path) if upload.path else ():
        yield _problem(upload, "upload-changed", f"the folder changed {when}", why, *_anew(upload, when))


def _anew(upload: Upload, when: str) -> tuple[Instead, ...]:
    again = Instead("the same command", "pins what is there now")
    if "while" not in when:
        return (again,)
    return (Instead(f"osmo data delete {upload.url}", "removes what was uploaded of it"), again)


def other_files(upload: Upload, names: list[str]) -> Problem:
    """Files lie there that the folder does not have."""
    return _problem(
        upload,
        "upload-mixed",
        "something else lies where this would be uploaded to",
        f"{upload.url} holds {sendable.some(names)}.",
        Instead(f"osmo data delete {upload.url}", "when nobody reads it"),
    )


def not_whole(upload: Upload, names: list[str], count: int) -> Problem:
    """Files are missing of so many that were uploaded."""
    return _problem(
        upload,
        "upload-incomplete",
        f"{len(names)} of {sendable.counted(count)} did not arrive",
        f"`osmo data upload` ended with success, and {sendable.some(names)} {'are' if names[1:] else 'is'} not there.",
        Instead("the same command", "uploads what is missing"),
    )


def _problem(upload: Upload, code: str, title: str, why: str, *instead: Instead) -> Problem:
    given = upload.path or upload.url
    return Problem(code=code, stage=Stage.SUBMIT, title=title, where=upload.flag, given=given, why=why, instead=instead)

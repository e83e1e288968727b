"""What a run left: its complete checkpoints, then files, results of an evaluation too; and a copy of any of them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from robotrain_runtime import checkpoint

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Output
from robotrain.run_folder import kept, told

ALWAYS = (told.LOG, told.EVENTS, told.OUTCOME, told.JOB)

OUTPUTS = "outputs"
CHECKPOINTS = "checkpoints"


def outputs(folder: Path) -> Iterator[Output]:
    """The checkpoints, oldest first, then what the runtime wrote, then what else lies in the work's own folder."""
    found = kept.checkpoints(folder)
    for each in found:
        name = f"{each.folder.parent.name}/{each.folder.name}"
        yield _output(name, "checkpoint", each.folder, step=each.step, model=each.model, digest=each.digest)
    yield from (_output(name, "file", folder / name) for name in ALWAYS if (folder / name).is_file())
    taken = {each.folder for each in found} | {each.folder.parent for each in found}
    for place in dict.fromkeys([folder / OUTPUTS, *(_place(each.folder.parent) for each in found)]):
        left = [path for path in _left(place) if path not in taken]
        taken.update(left)
        yield from map(_file, left)
    yield from (_file(path) for path in _evaluated(folder) if path not in taken)


def bring(output: Output, to: Path) -> None:
    """Copy an output to the new folder or file `to`, which is whole as soon as it is there. Raises Rejected."""
    source = Path(output.uri)
    if not source.exists():
        raise Rejected([_problem("output-gone", f"{output.name} is not there any more", output.uri)])
    if os.path.lexists(to):
        way = Instead("a name that is free", "nothing is ever written over")
        raise Rejected([_problem("output-exists", "there is something of that name already", str(to), "", way)])
    scratch = to.with_name(f".{to.name}.{os.urandom(4).hex()}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        _copy(source, scratch)
        if output.digest and (wrong := checkpoint.wrong_with(scratch)):
            raise OSError(wrong.replace(str(scratch), str(source)))
        os.rename(scratch, to)
    except OSError as error:  # shutil.Error is one
        raise Rejected(
            [_problem("output-not-copied", f"{output.name} could not be copied", str(to), _why(error))]
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.unlink(missing_ok=True)


def _place(parent: Path) -> Path:
    """The work's own folder, of that of its checkpoints."""
    return parent.parent if parent.name == CHECKPOINTS else parent


def _evaluated(folder: Path) -> list[Path]:
    """The results of an evaluation, and what holds the policy, wherever they lie."""
    told_of = told.evaluated(folder)
    if told_of is None:
        return []
    found = [Path(told_of.results), *([Path(told_of.policy).parent] if told_of.policy else [])]
    return [path for path in found if path.is_dir()]


def _left(place: Path) -> list[Path]:
    """What lies there by its own name; what begins with a dot is not ready, or nobody's business."""
    try:
        found = [Path(entry.path) for entry in os.scandir(place) if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(path for path in found if not path.is_symlink())


def _file(path: Path) -> Output:
    return _output(f"{path.parent.name}/{path.name}", "file", path)


def _output(
    name: str,
    kind: Literal["checkpoint", "file"],
    path: Path,
    step: int | None = None,
    model: str = "",
    digest: str = "",
) -> Output:
    return Output(
        name=name,
        kind=kind,
        source="local_path",
        uri=os.path.abspath(path),
        step=step,
        model=model,
        digest=digest,
        size=_size(path),
    )


def _size(path: Path) -> int | None:
    try:
        if path.is_file():
            return path.stat().st_size
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file() and not part.is_symlink())
    except OSError:  # it is being written, or taken away
        return None


def _copy(source: Path, scratch: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, scratch)
    else:
        shutil.copy2(source, scratch)


def _why(error: OSError) -> str:
    first = error.args[0][0] if isinstance(error, shutil.Error) and error.args and error.args[0] else None
    return f"{(first[2] if first else error.strerror or error)}."


def _problem(code: str, title: str, given: str, why: str = "", *instead: Instead) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, title=title, given=given, why=why, instead=instead)

"""The command that asks LeRobot about the options of a training: the line that its container would make."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import lineage, start, versions
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_train import container

OPTION_CHECK = "robotrain_workloads.lerobot_check.option_check"


def make_check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    """Return the command that asks LeRobot about the options of the training.

    None if its start is not here, or for a type that LeRobot does not have.
    """
    try:
        begin = start.load_start(described)
    except (OSError, ValueError):  # of a checkpoint, perhaps without its step: the run says more
        return None
    is_start_known = lineage.find_start_source(described) == lineage.find_start_source(document.sources)
    if not is_start_known or (begin.mode == "checkpoint" and not (begin.folder / container.TRAIN_CONFIG).is_file()):
        return None
    values = {**document.parameters, "num_workers": document.parameters["num_workers"] or 0}
    root, user_options = container.find_dataset_root(described), document.trainer_args
    model = choose_model(values, begin.settings)
    if not model.is_known:  # it is one of a package, which is not on this machine
        return None
    options = (
        *container.make_owned_options(values, root or work / "dataset", work / "unmade", begin),
        *(container.make_picture_options(values, user_options, begin, root) if root else ()),
        *container.make_default_options(values, user_options, begin),
        model.format_option("device", "cpu"),
    )
    kind = model.kind if model.section == versions.POLICIES else ""
    return WorkCommand(
        arguments=("-m", OPTION_CHECK, kind, *options, "--", *user_options),
        environ=container.make_environ(document, work),
    )

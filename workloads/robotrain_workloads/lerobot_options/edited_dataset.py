"""Lines of lerobot-edit-dataset: robotrain edits no dataset, but a training does the same to what it reads.

Operations and options are those of LeRobot's `lerobot_edit_dataset.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.line_translation.translated_line import TranslatedLine

PROGRAM = "lerobot-edit-dataset"
OPERATION, REPOSITORY, FOLDER = "operation.type", "repo_id", "root"
MERGED, MERGED_FOLDERS, EPISODES = "operation.repo_ids", "operation.roots", "operation.episode_indices"
MERGE, DELETE, RECOMPUTE = "merge", "delete_episodes", "recompute_stats"
WRITTEN = ("new_repo_id", "new_root", "push_to_hub")
"""Options about the dataset that LeRobot writes."""
WRITTEN_REASON = "a training writes no dataset: it reads what the options say"
NOTES = {
    MERGE: "a training merges its datasets itself: add these options to those of the training",
    DELETE: "a training leaves episodes out itself: add these options to those of the training",
    RECOMPUTE: "a training computes statistics itself: add these options to those of the training",
}
OTHER_REASON = (
    "robotrain has no equal of {}: run the line itself, and train on the folder that it writes: --dataset-path FOLDER"
)
LIST_REASON = "it must be a list: --{}='{}'"
UNKNOWN_REASON = "the operation {} has no such option"


def translate_edit(options: Sequence[str]) -> TranslatedLine:
    """Return the robotrain line that trains on what a line of lerobot-edit-dataset makes."""
    option_values = {name: value or "" for name, value in split_options(options) if name}
    operation = option_values.get(OPERATION, "")
    if operation not in NOTES:
        operation_option = f"--{OPERATION}={operation}"
        return TranslatedLine((), {}, refused={f"--{OPERATION}": OTHER_REASON.format(operation_option)})
    flags = list[str]()
    refusals = dict[str, str]()
    if operation == MERGE:
        flags += _list_merged(option_values, refusals)
    else:
        flags += _list_dataset(option_values.get(REPOSITORY, ""), option_values.get(FOLDER, ""))
    if operation == DELETE and (episode_numbers := _read_list(option_values, EPISODES, "int", "[0, 2]", refusals)):
        flags += ("--exclude-episodes", ",".join(map(str, episode_numbers)))
    if operation == RECOMPUTE:
        flags += ("--statistics", "computed")
    output_options = [
        name for name in option_values if name in WRITTEN or (operation == MERGE and name in (REPOSITORY, FOLDER))
    ]
    omitted_options = {f"--{name}": WRITTEN_REASON for name in output_options}
    translated_options = {OPERATION, REPOSITORY, FOLDER, *WRITTEN, *_list_options(operation)}
    refusals |= {
        f"--{name}": UNKNOWN_REASON.format(operation) for name in option_values if name not in translated_options
    }
    words = ("robotrain", "submit", "--platform", "PLATFORM", *flags)
    return TranslatedLine(words, omitted_options, {f"--{OPERATION}={operation}": NOTES[operation]}, refusals)


def _list_options(operation: str) -> tuple[str, ...]:
    return {MERGE: (MERGED, MERGED_FOLDERS), DELETE: (EPISODES,)}.get(operation, ())


def _list_merged(option_values: Mapping[str, str], refusals: dict[str, str]) -> Iterator[str]:
    """Yield the words for the datasets of a merge: folders, where the line names them."""
    dataset_names = _read_list(option_values, MERGED, "text", "[OWNER/FIRST, OWNER/SECOND]", refusals)
    folders = (
        _read_list(option_values, MERGED_FOLDERS, "text", "[FIRST, SECOND]", refusals)
        if MERGED_FOLDERS in option_values
        else []
    )
    if folders and len(folders) != len(dataset_names):
        refusals[f"--{MERGED_FOLDERS}"] = f"it has {len(folders)} folders, and --{MERGED} {len(dataset_names)} names"
        return
    for number, name in enumerate(dataset_names):
        yield from _list_dataset(str(name), str(folders[number]) if folders else "")


def _list_dataset(repository: str, folder: str) -> tuple[str, ...]:
    if folder:
        return ("--dataset-path", folder)
    return ("--dataset-repo-id", repository) if repository else ()


def _read_list(
    option_values: Mapping[str, str], name: str, kind: str, example: str, refused: dict[str, str]
) -> Sequence[object]:
    """Return the values of an option that is a list; none, and the reason in `refused`, if it is no list."""
    with suppress(RefusedValue, UnreadValue):
        if list_values := read_value(option_values.get(name, ""), {"each": kind}):
            return list(list_values)
    refused[f"--{name}"] = LIST_REASON.format(name, example)
    return []

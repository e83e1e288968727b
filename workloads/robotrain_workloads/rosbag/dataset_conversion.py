"""Bags of a job as a LeRobot dataset, a data preparation.

In the conversion environment: `python -m robotrain_workloads.rosbag.dataset_conversion --bags FOLDER … OUT`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import RUN_PYTHON_VARIABLE

from robotrain_workloads import bag_parameters
from robotrain_workloads.lerobot.dataset_preparation import write_source_sizes
from robotrain_workloads.rosbag.bag_files import BagError
from robotrain_workloads.rosbag.convert_to_lerobot import ConversionFailed, convert_bags
from robotrain_workloads.rosbag.settings import explain_open_action
from robotrain_workloads.rosbag.survey import BagSurvey, survey_bags

SCRATCH = ".making"
say = partial(print, flush=True)


def find_problems(survey: BagSurvey) -> Iterator[str]:
    """Yield why the bags make no dataset."""
    if survey.action_candidates:
        yield explain_open_action(survey.action_candidates)
    if bag_parameters.is_action_the_state(vars(survey.settings)):
        yield bag_parameters.ACTION_IS_STATE
    refused_bags = survey.refused
    excluded_names = ",".join((*survey.settings.exclude_bags, *(facts.bag.name for facts in refused_bags)))
    for number, facts in enumerate(refused_bags):  # what to type stands at the end of the first line
        is_first = number == 0 and not survey.action_candidates
        yield facts.problem + (f" (--exclude-bags {shlex.quote(excluded_names)})" if is_first and survey.usable else "")
    if not refused_bags and not any(reading.episodes for reading in survey.usable):
        yield f"{survey.folder}: no bag makes an episode"


def describe_reading(survey: BagSurvey) -> Iterator[str]:
    """Yield how the bags are read, and what is left out of them."""
    settings = survey.settings
    uses = [f"{use} from {' or '.join(topics)}" for use, topics in settings.uses.items()]
    if settings.action_topic is None:
        uses.append(bag_parameters.NEXT_STATE)
    yield f"{', '.join(uses)}, at {settings.fps:g} steps per second"
    for reading in survey.usable:
        if reading.unused:
            yield f"{reading.bag.name}: no episode has {reading.unused}"
        if reading.dropped:
            yield f"{reading.bag.name}: {len(reading.dropped)} pieces are too short"


def write_origins(folder: Path, survey: BagSurvey) -> None:
    """Write which episodes are of which bag, and how much each source has."""
    sizes = [{"total_episodes": 0, "total_frames": 0} for _ in survey.folders]
    pieces = []
    for source, reading in zip(survey.usable_sources, survey.usable, strict=True):
        sizes[source]["total_episodes"] += len(reading.episodes)
        sizes[source]["total_frames"] += sum(episode.steps for episode in reading.episodes)
        pieces.append(len(reading.episodes))
    write_source_sizes(folder, sizes, [count for count in pieces if count])


def convert(folders: Sequence[Path], values: Mapping[str, Any], task: str, out: Path) -> None:
    """Fill the folder `out` with the dataset. Raise BagError, ConversionFailed or OSError."""
    settings = bag_parameters.make_settings(values)
    survey = survey_bags(folders, settings, say)
    if problems := [*find_problems(survey)]:
        raise ConversionFailed("\n".join(problems))
    for line in describe_reading(survey):
        say(line)
    scratch = out / SCRATCH
    written_dataset = convert_bags(
        survey,
        scratch / "dataset",
        task=task,
        robot="",
        video=True,
        find_python=lambda: Path(os.environ[RUN_PYTHON_VARIABLE]),
        say=say,
    )
    write_origins(scratch / "dataset", survey)
    for path in sorted((scratch / "dataset").iterdir()):
        path.rename(out / path.name)
    bags = len(survey.usable)
    say(f"made a dataset of {bags} bags: {written_dataset['episodes']} episodes, {written_dataset['frames']} frames")


def main() -> int:
    """Make the dataset; return 0, or 1 with lines that say why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bags", type=Path, action="append", required=True, metavar="FOLDER")
    parser.add_argument("--settings", type=json.loads, default={}, help="parameters by name, as JSON")
    parser.add_argument("--task", required=True)
    parser.add_argument("out", type=Path, help="the folder to fill")
    options = parser.parse_args()
    out_folder = options.out.absolute()
    scratch = out_folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    scratch.mkdir(parents=True)
    try:
        convert(options.bags, options.settings, options.task, out_folder)
    except (BagError, ConversionFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

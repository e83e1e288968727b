"""What the files that describe a job's sources tell of it, for `submit --dry-run`. A job does not carry it."""

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.model.preview import JobFacts
from robotrain.redaction import redact
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.files import format_size

from robotrain_workloads.dataset_check import statistics_needs
from robotrain_workloads.dataset_check.dataset_options import list_trained
from robotrain_workloads.lerobot import dataset, dataset_shares, options
from robotrain_workloads.lerobot.episode_numbers import EXCLUDED
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_train import trainer_options
from robotrain_workloads.lerobot_train.frames import frame_plan

if TYPE_CHECKING:
    from robotrain.model.job import Job

STATISTICS_WORDS = {
    statistics_needs.COMPUTED: "computed of all frames that are read",
    statistics_needs.STORED: "stored in meta/stats.json, as lerobot-train reads them",
}
DECODERS = "torchcodec, or PyAV where it does not read the videos"
UNREAD = "what is in it is not known from here"


def find_facts(job: "Job", folders: Mapping[JobSource, Path]) -> JobFacts:
    """Return the policy, what is in the datasets, and the frames that are trained on."""
    lerobot_job = LerobotJob(job, folders)
    infos = dict[JobSource, Mapping[str, Any]]()
    datasets = [source for source in job.sources if source.role == "dataset"]
    for source in datasets:
        with suppress(OSError, ValueError, KeyError):
            infos[source] = dataset.load_dataset_info(folders[source])
    summary_by_source = {source: _describe_dataset(infos[source]) if source in infos else UNREAD for source in datasets}
    rows, start = dict[str, str](), lerobot_job.start_source
    if start or (lerobot_job.known_model and "training_steps" in lerobot_job.parameters):
        kind = f"{lerobot_job.model.kind}, " if lerobot_job.known_model else ""
        rank = lerobot_job.parameters.get("lora_rank")
        start_text = f"from {redact(start.uri)}" if start else "new"
        rows[lerobot_job.model.noun] = f"{kind}{start_text}{f', a LoRA adapter of rank {rank}' if rank else ''}"
    if "val_split" not in lerobot_job.parameters:  # nothing is trained
        return JobFacts(rows, summary_by_source)
    if "statistics" in lerobot_job.parameters and lerobot_job.start.mode != "checkpoint":  # which has its own
        choice = statistics_needs.choose_statistics(lerobot_job.parameters, job.sources)
        rows["statistics"] = STATISTICS_WORDS[choice]
    with suppress(ValueError):
        if shares := dataset_shares.describe_shares(lerobot_job.parameters, job.sources):
            rows["mixture"] = f"{shares} of the samples, in the order of the datasets"
    if any(map(dataset.has_video, infos.values())):
        rows["decoder"] = options.get_option_value(lerobot_job.arguments, trainer_options.DECODER) or DECODERS
    if lerobot_job.parameters.get("frame_cache", frame_plan.OFF) != frame_plan.OFF:
        rows["frame cache"] = _describe_frame_cache(lerobot_job, infos.values())
    excluded, frames = lerobot_job.parameters[EXCLUDED], None
    episode_texts = [f"without {excluded}"] if excluded else []
    with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
        total, recorded_frames = (sum(int(infos[source][key]) for source in datasets) for key, _ in COUNTS)
        count = len(list_trained(lerobot_job, total))
        episode_texts = [f"{count:,} of {total:,} episodes", *episode_texts] if count < total else []
        frames = round(recorded_frames * (count - _count_held_out(lerobot_job, count)) / total) or None
    return JobFacts(rows | ({"episodes": ", ".join(episode_texts)} if episode_texts else {}), summary_by_source, frames)


def _describe_frame_cache(job: LerobotJob, infos: Collection[Mapping[str, Any]]) -> str:
    """Return how large the decoded frames get, of all videos of the datasets."""
    mode, limit = job.parameters["frame_cache"], job.parameters["frame_cache_size"]
    size = sum(map(frame_plan.count_frame_bytes, infos))
    if not infos:
        return f"{mode}, its size is not known from here"
    if not size:
        return "nothing to keep: no videos"
    size_text = f"{format_size(size)} of decoded frames"
    if limit and limit * frame_plan.GB < size:
        share_text = (
            "of which none is kept" if mode == "auto" else f"of which {format_size(limit * frame_plan.GB)} are kept"
        )
        return f"{size_text}, {share_text} (--frame-cache-size {limit:g})"
    return f"{size_text} on the job's disk" + ", if a third of what is free is enough" * (mode == "auto" and not limit)


def _describe_dataset(info: Mapping[str, Any]) -> str:
    cameras = dataset.list_cameras(info)
    counts = [f"{int(info[key]):,} {noun}{'s' * (info[key] != 1)}" for key, noun in COUNTS if key in info]
    cameras_text = f"camera{'s' * (len(cameras) != 1)} {', '.join(cameras)}" if cameras else "no camera"
    return ", ".join([*counts, cameras_text])


COUNTS = (("total_episodes", "episode"), ("total_frames", "frame"))


def _count_held_out(job: LerobotJob, episodes: int) -> int:
    """Return how many episodes LeRobot holds out, as if all were of one task; none where that would leave none."""
    held_out_part = float(job.parameters["val_split"] or 0) if job.parameters["eval_freq"] != 0 else 0.0
    held_out_count = math.ceil(episodes * held_out_part)
    return held_out_count if held_out_count < episodes else 0

"""Rules of `isaac-validate` for a resolved job, on the submit side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, usage_problem

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_video(job: "Job") -> Iterator[Problem]:
    """Reject a length of a video that is not recorded."""
    if job["video_length"] != 200 and not job["record_video"]:
        yield usage_problem(
            "video-not-recorded",
            "--video-length has no effect without --record-video",
            where="--video-length",
            given=str(job["video_length"]),
            suggestions=(Suggestion("--record-video"),),
            absent=("record_video",),
        )

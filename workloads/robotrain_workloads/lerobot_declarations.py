"""What the declarations of LeRobot's workloads share. What takes its time is imported when it is called."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.model.preview import JobFacts
from robotrain.model.workload import OptionFinder, ProgramOptions

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.document import JobSource


def load_option_finder() -> OptionFinder:
    """Import what knows LeRobot's options."""
    from robotrain_workloads.lerobot_options import option_finder

    return option_finder


def find_facts(job: "Job", described: "Mapping[JobSource, Path]") -> JobFacts:
    """Return what the files that describe the sources of a job tell of its work."""
    from robotrain_workloads import lerobot_preview

    return lerobot_preview.find_facts(job, described)


LEROBOT_OPTIONS = ProgramOptions(load_option_finder)

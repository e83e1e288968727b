"""Parameters of `rosbag-act-train`: those of `lerobot-train`, with other defaults."""

from dataclasses import dataclass

from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.lerobot_train.parameters import Bags, TrainedPolicyType, TrainParameters


@dataclass(frozen=True, kw_only=True)
class RosbagActParameters(TrainParameters):
    """The parameters of `rosbag-act-train`."""

    policy_type: TrainedPolicyType = "act"
    bags: Bags = True
    job_name: shared.JobName = "rosbag-act-training"

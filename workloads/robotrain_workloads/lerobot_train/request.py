"""What a training's launcher is asked for: one JSON text before LeRobot's options. Standard library only."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """How to train, beside LeRobot's own options."""

    device: str
    trains: str = "policy"
    """What the names of its options begin with."""
    weights: str = ""
    """A file of weights that the cameras' network starts from."""
    weights_name: str = ""
    """The name that torchvision has for them."""
    given_weights: bool = False
    """Whether the user gives the file."""
    first: int = 0
    """The step to continue from."""
    loads_alone: bool = False
    """Whether the user wants no process that loads data."""
    allow_non_finite: bool = False
    """Whether NaN and infinite weights are kept."""
    base: str = ""
    """The folder of the policy that the trained adapter belongs to."""
    base_reference: Mapping[str, str] = field(default_factory=dict)
    """Where it comes from: the fields of `adapter.Base`."""
    new_processors: bool = False
    """Whether only the network of a policy is used."""
    reads_task: bool = False
    """Whether the text of the task is trained on."""
    exclude_episodes: str = ""
    """Numbers of those that are left out."""
    computed_statistics: bool = False
    """Whether those of numbers are computed from the frames that are read."""
    relative_statistics: bool = False
    """Whether actions are normalized when relative."""
    mixture: Sequence[tuple[str, float]] = ()
    """Name and share of the samples of each dataset."""
    read_numbers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Features, by option of the comparison of tables."""
    frame_cache: Mapping[str, object] = field(default_factory=dict)
    """Of decoded frames."""
    stop_after: int = 0
    """Validations without a lower loss."""
    cores_option: str = ""
    """What gives the job more cores, for people."""
    nodes: int = 1
    """How many train together."""
    ranks: int = 1
    """The processes on all of them."""
    batch: int = 0
    """The samples of a step on each."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For the tracking run."""

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self))


def parse_request(text: str) -> TrainingRequest:
    """Return what `TrainingRequest.dump` returned."""
    return TrainingRequest(**json.loads(text))

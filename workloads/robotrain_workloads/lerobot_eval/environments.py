"""What the simulated environments show and take, to be told before any is built. Standard library only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot_train.features import ACTION, STATE, WORLD, Place, inputs, unlike

CHOSEN = "--env.obs_type="
"""Who says what an environment is to show knows better than the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """action: how many numbers it takes. state, world: how many it shows of the robot, and of the things around it; 0
    for none. camera: the name of its one camera. apart: whether it shows the things and pictures only one at a time.
    best: the greatest reward it gives; the least is 0. options: what `--env.NAME` can set, beside what every one has.
    """

    action: int
    state: int
    world: int = 0
    camera: str
    apart: bool = False
    best: float
    options: tuple[str, ...]

    def features(self, camera: str, shape: Sequence[int]) -> dict[str, dict[str, Any]]:
        """As a dataset describes its own. camera, shape: under which name and in which size it is shown."""
        numbers = {ACTION: self.action, STATE: self.state, WORLD: self.world}
        told = {name: {"dtype": "float32", "shape": [size]} for name, size in numbers.items() if size}
        names = ["channels", "height", "width"]
        return {**told, camera: {"dtype": "image", "shape": list(shape), "names": names}}


EVERY = ("task", "fps", "disable_env_checker")
SHOWN = ("obs_type", "observation_height", "observation_width")
SIMULATED: Mapping[str, Simulated] = {
    "pusht": Simulated(
        action=2,
        state=2,
        world=16,
        camera="observation.image",
        apart=True,
        best=1.0,
        options=(*SHOWN, "visualization_width", "visualization_height"),
    ),
    "aloha": Simulated(action=14, state=14, camera="observation.images.top", best=4.0, options=SHOWN),
}


def options(env: str) -> tuple[str, ...]:
    """The names that `--env.NAME` may have there."""
    return (*EVERY, *SIMULATED[env].options)


def unfit(settings: Mapping[str, Any], env: str, given: Sequence[str]) -> Iterator[str]:
    """Why a policy cannot act there, one sentence each. given: the person's own options."""
    if any(option.startswith(CHOSEN) for option in given):
        return
    place, read = SIMULATED[env], inputs(settings)
    cameras = [name for name in read if name not in (STATE, WORLD)]
    camera = cameras[0] if len(cameras) == 1 else place.camera  # one picture for one picture is no question of names
    size = read.get(camera, [])[1:] or [0, 0]  # it is drawn as the policy wants it
    features = place.features(camera, [3, *size])
    yield from unlike(settings, {"features": features}, (), Place(env, "show"))
    if place.apart and cameras and WORLD in read:
        yield f"the policy reads {WORLD} and looks through {camera}: {env} shows only one of them at a time"

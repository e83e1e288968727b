"""Good datasets that are unusual, as some robots and tasks record them: nothing in them is wrong.

dataset = make_unusual_dataset(seed)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from made_datasets import ACTION, STATE, Array, MadeDataset, make_dataset

Shape = Callable[[MadeDataset, Any], None]


def make_unusual_dataset(seed: int, *, cameras: int | None = None) -> MadeDataset:
    """Return a good dataset with some of the shapes below."""
    draw = np.random.default_rng([seed, 77])
    made = make_dataset(seed, cameras=cameras, kind="position")
    while STATE not in made.names:
        seed += 1_000_000
        made = make_dataset(seed, cameras=cameras, kind="position")
    for shape in draw.choice(len(SHAPES), int(draw.integers(1, 4)), replace=False):
        SHAPES[shape](made, draw)
    return made


def _scale_to(made: MadeDataset, size: float) -> None:
    """Give all joints such a range."""
    extent = np.ptp(np.concatenate([episode.values[STATE] for episode in made.episodes]), axis=0).max()
    for episode in made.episodes:
        episode.values.update({name: episode.values[name] * (size / extent) for name in (ACTION, STATE)})


def _choose_joint(made: MadeDataset, draw: Any) -> int:
    return int(draw.integers(len(made.names[ACTION]) - (made.names[ACTION][-1] == "gripper")))


def _change_joint(made: MadeDataset, number: int, joint: int, change: Callable[[Array], Array]) -> None:
    values = made.episodes[number].values
    for name in (ACTION, STATE):
        values[name] = values[name].astype(float)
        values[name][:, joint] = change(values[name][:, joint])


def use_joint_seldom(made: MadeDataset, draw: Any) -> None:
    """A joint rests at zero with noise, but for some episodes."""
    joint, rest = _choose_joint(made, draw), draw.choice([0.0, 1.0])
    for number, episode in enumerate(made.episodes):
        extent = np.ptp(episode.values[STATE][:, joint])
        noise = draw.normal(0, extent * draw.choice([0.0, 0.002, 0.01]), episode.length)
        if draw.random() < 0.6:
            course = (1 - np.cos(np.linspace(0, 2 * np.pi, episode.length))) * extent * draw.uniform(0.001, 0.02)
            _change_joint(
                made,
                number,
                joint,
                lambda old, rest=rest, extent=extent, noise=noise, course=course: rest * extent + noise + course,
            )
        else:
            _change_joint(made, number, joint, lambda old: old - old[0])


def stir(made: MadeDataset, draw: Any) -> None:
    """All joints repeat a motion in some episodes, or in all."""
    seconds, part = draw.uniform(0.6, 3), draw.choice([0.4, 1.0])
    for _number, episode in enumerate(made.episodes):
        if draw.random() > part:
            continue
        phases = draw.uniform(0, 2 * np.pi, len(made.names[ACTION]))
        times = np.arange(episode.length) / made.fps
        wave = np.sin(2 * np.pi * times / seconds + phases[:, None])
        for joint in range(len(phases) - (made.names[ACTION][-1] == "gripper")):
            extent = 0.2 * np.ptp(episode.values[STATE][:, joint])
            lag = round(0.1 * made.fps)
            state = np.roll(wave[joint], lag)
            state[:lag] = state[min(lag, len(state) - 1)]
            episode.values[ACTION] = episode.values[ACTION].astype(float)
            episode.values[ACTION][:, joint] += extent * wave[joint]
            episode.values[STATE][:, joint] += extent * state


def vary_lag(made: MadeDataset, draw: Any) -> None:
    """The robot follows a little sooner or later in each episode."""
    for episode in made.episodes:
        shift = draw.uniform(-0.04, 0.04) * made.fps
        frames = np.arange(episode.length)
        for joint in range(len(made.names[STATE])):
            episode.values[STATE][:, joint] = np.interp(frames - shift, frames, episode.values[STATE][:, joint])


def follow_late(made: MadeDataset, draw: Any) -> None:
    """The robot follows late in all episodes."""
    lag = round(draw.uniform(0.1, 0.5) * made.fps)
    for episode in made.episodes:
        rows = np.maximum(np.arange(episode.length) - lag, 0)
        episode.values[STATE] = episode.values[STATE][rows]


def close_in_percent(made: MadeDataset, draw: Any) -> None:
    """Joints in radians, and a gripper from 0 to 100, or a lift in millimeters."""
    _scale_to(made, 2.0)
    names = list(made.names[ACTION])
    if names[-1] != "gripper":
        names[int(draw.integers(len(names)))] = str(draw.choice(["lift", "left_gripper.pos", "base_x", "torso"]))
        made.names[ACTION] = made.names[STATE] = names
    odd = [at for at, name in enumerate(names) if not name.startswith("joint")]
    for number in range(len(made.episodes)):
        for joint in odd:
            _change_joint(made, number, joint, lambda old: old * 100)


def mix_units(made: MadeDataset, draw: Any) -> None:
    """A position in millimeters or meters, and angles in radians or degrees."""
    _scale_to(made, 2.0)
    count = len(made.names[ACTION])
    factors = np.ones(count)
    factors[: min(3, count)] = draw.choice([0.1, 100, 300])
    if count > 3:
        factors[3:] = draw.choice([1, 57.3])
    for episode in made.episodes:
        for name in (ACTION, STATE):
            episode.values[name] = episode.values[name] * factors


def move_little(made: MadeDataset, draw: Any) -> None:
    """Some joints move far less than the others."""
    joints = draw.random(len(made.names[ACTION])) < 0.4
    factors = np.where(joints, draw.uniform(0.02, 0.2, len(joints)), 1.0)
    for episode in made.episodes:
        for name in (ACTION, STATE):
            episode.values[name] = episode.values[name] * factors


def move_alike(made: MadeDataset, draw: Any) -> None:
    """Two joints move alike, as those of a gripper or of two arms that carry one thing."""
    if len(made.names[ACTION]) < 4:
        return
    first, other = draw.choice(len(made.names[ACTION]) - 1, 2, replace=False)
    for episode in made.episodes:
        for name in (ACTION, STATE):
            noise = draw.normal(0, 0.01, episode.length) * np.ptp(episode.values[name][:, first])
            episode.values[name][:, other] = episode.values[name][:, first] + noise


def rest_an_arm(made: MadeDataset, draw: Any) -> None:
    """One of two arms waits in some episodes, with noise or without."""
    half = len(made.names[ACTION]) // 2
    side = slice(0, half) if draw.random() < 0.5 else slice(half, None)
    noise = draw.choice([0.0, 0.001])
    for episode in made.episodes:
        if draw.random() < 0.4:
            for name in (ACTION, STATE):
                values = episode.values[name] = episode.values[name].astype(float)
                extent = np.ptp(values[:, side], axis=0)
                values[:, side] = values[0, side] + draw.normal(0, 1, values[:, side].shape) * extent * noise


def press(made: MadeDataset, draw: Any) -> None:
    """A joint meets a surface in some episodes: its state stops, and its action goes on."""
    joint = _choose_joint(made, draw)
    for episode in made.episodes:
        if draw.random() < 0.4:
            state = episode.values[STATE][:, joint]
            episode.values[STATE][:, joint] = np.minimum(state, np.quantile(state, draw.uniform(0.6, 0.95)))


def repeat_next_state(made: MadeDataset, draw: Any) -> None:
    """The action is the next state."""
    for episode in made.episodes:
        rows = np.minimum(np.arange(episode.length) + int(draw.integers(1, 2)), episode.length - 1)
        episode.values[ACTION] = episode.values[STATE][rows].copy()


def hold_commands(made: MadeDataset, draw: Any) -> None:
    """A command holds for some frames, as a slow policy or leader sends them."""
    frames = int(draw.integers(2, 5))
    for episode in made.episodes:
        rows = np.arange(episode.length) // frames * frames
        episode.values[ACTION] = episode.values[ACTION][rows]


def count_ticks(made: MadeDataset, draw: Any) -> None:
    """Numbers are ticks of a servo, of few bits."""
    ticks = draw.choice([200, 1000, 4096])
    for episode in made.episodes:
        for name in (ACTION, STATE):
            extent = np.ptp(np.concatenate([other.values[name] for other in made.episodes]), axis=0)
            step = np.where(extent > 0, extent / ticks, 1)
            episode.values[name] = np.round(episode.values[name] / step) * step


def turn_sides(made: MadeDataset, draw: Any) -> None:
    """A joint goes to the other side in some episodes."""
    joint = _choose_joint(made, draw)
    for number in range(len(made.episodes)):
        if draw.random() < 0.4:
            _change_joint(made, number, joint, lambda old: -old)


def go_carefully(made: MadeDataset, draw: Any) -> None:
    """Some episodes stay near the place where they begin."""
    factor = draw.uniform(0.05, 0.4)
    for episode in made.episodes:
        if draw.random() < 0.3:
            for name in (ACTION, STATE):
                episode.values[name] = (
                    episode.values[name][:1] + (episode.values[name] - episode.values[name][:1]) * factor
                )


def wait_long(made: MadeDataset, draw: Any) -> None:
    """The robot waits for long in the middle of some episodes."""
    for episode in made.episodes:
        if draw.random() < 0.3:
            state = episode.values[STATE] / np.maximum(np.ptp(episode.values[STATE], axis=0), 1e-9)
            action = episode.values[ACTION] / np.maximum(np.ptp(episode.values[ACTION], axis=0), 1e-9)
            speed = np.abs(np.diff(state, axis=0)).sum(axis=1) + np.abs(np.diff(action, axis=0)).sum(axis=1)
            at = int(speed[5:-5].argmin()) + 5  # where it stands anyway
            frames = np.arange(episode.length)
            episode.take(
                np.concatenate([frames[:at], np.repeat(at, round(draw.uniform(1, 3) * made.fps)), frames[at:]])
            )
            for name in (ACTION, STATE):
                extent = np.ptp(episode.values[name], axis=0)
                episode.values[name] = (
                    episode.values[name] + draw.normal(0, 0.0003, episode.values[name].shape) * extent
                )


def differ_by_course(made: MadeDataset, draw: Any) -> None:
    """Half of the episodes are of another task, which moves other joints through other ranges."""
    factors = draw.uniform(0.15, 2.0, len(made.names[ACTION]))
    for number, episode in enumerate(made.episodes):
        if number >= len(made.episodes) / 2:
            for name in (ACTION, STATE):
                middle = episode.values[name].mean(axis=0)
                episode.values[name] = middle + (episode.values[name] - middle) * factors


def shake(made: MadeDataset, draw: Any) -> None:
    """The state has noise, as of a camera that tracks markers."""
    part = draw.uniform(0.003, 0.02)
    for episode in made.episodes:
        extent = np.ptp(episode.values[STATE], axis=0)
        episode.values[STATE] = episode.values[STATE] + draw.normal(0, part, episode.values[STATE].shape) * extent


def wind_up(made: MadeDataset, draw: Any) -> None:
    """A wheel or the last joint turns round several times, in radians."""
    _scale_to(made, 2.0)
    joint = _choose_joint(made, draw)
    factor = draw.uniform(3, 15)
    for number in range(len(made.episodes)):
        _change_joint(made, number, joint, lambda old: old * factor)


SHAPES: tuple[Shape, ...] = (
    use_joint_seldom,
    stir,
    vary_lag,
    follow_late,
    close_in_percent,
    mix_units,
    move_little,
    move_alike,
    rest_an_arm,
    press,
    repeat_next_state,
    hold_commands,
    count_ticks,
    turn_sides,
    go_carefully,
    wait_long,
    differ_by_course,
    shake,
    wind_up,
)

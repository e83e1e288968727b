"""Let a trained policy push the T home, from starts that it has never seen, beside the same policy untrained."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "pusht-mini"))

from requirements_check import explain_missing

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv
    from lerobot.policies.pretrained import PreTrainedPolicy
    from numpy.typing import NDArray
    from PIL.Image import Image

HOME_COVERAGE = 0.8
FILMED, FILMED_IN_A_ROW, COLOURS = 8, 4, 16
FEATURES = {"observation.state": (2,), "observation.environment_state": (16,)}


class RolloutError(Exception):
    """The request cannot be carried out; the message says why and what to do."""


@dataclass(frozen=True)
class Score:
    """How well one policy did over all starts."""

    home: int
    max_coverage: float
    final_coverage: float


@dataclass(frozen=True)
class Driver:
    """A policy with what stands before and behind it: observations in, agent targets in pixels out."""

    policy: PreTrainedPolicy
    before: Any
    behind: Any

    def act(self, observations: list[dict[str, NDArray[Any]]]) -> NDArray[Any]:
        """The next action of each rollout."""
        import numpy as np
        import torch

        batch = {key: torch.from_numpy(np.stack([each[key] for each in observations])) for key in FEATURES}
        with torch.inference_mode():
            return self.behind(self.policy.select_action(self.before(batch))).numpy()


def main() -> int:
    """Parse the command line, roll out, print the table; 1 where a demanded bound is not reached."""
    options = _arguments()
    try:
        checkpoint = find_checkpoint(options.checkpoint)
        if missing := explain_missing("lerobot", "gym_pusht"):
            raise RolloutError(missing)
        scores = _compare(checkpoint, options)
    except RolloutError as error:
        print(error, file=sys.stderr)
        return 2
    _print(checkpoint, scores, options)
    return _judge(scores["trained"], options)


def find_checkpoint(folder: Path) -> Path:
    """The folder that holds the policy: the one given, the one in a checkpoint, or a run's last checkpoint."""
    checkpoints = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    numbered = sorted(
        (child for child in checkpoints.glob("*") if child.name.isdigit()), key=lambda child: int(child.name)
    )
    candidates = [folder, folder / "pretrained_model", checkpoints / "last" / "pretrained_model"]
    # A copy that came by way of a blob store has lost the link named "last".
    candidates += [child / "pretrained_model" for child in reversed(numbered)]
    for candidate in candidates:
        if (candidate / "config.json").is_file() and (candidate / "model.safetensors").is_file():
            return candidate.resolve()
    raise RolloutError(
        f"{folder} is no checkpoint: no config.json with a model.safetensors in it, in pretrained_model, or under "
        "checkpoints/last.\nGive the outputs folder of a finished run, or one of its checkpoints/NNNNNN folders."
    )


def load_driver(checkpoint: Path, action_steps: int | None, *, trained: bool) -> Driver:
    """The checkpoint's policy, or one of the same shape with fresh weights."""
    import torch
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors

    config = PreTrainedConfig.from_pretrained(checkpoint, cli_overrides=["--device=cpu"])
    _check_features(checkpoint, config)
    config.n_action_steps = action_steps or config.n_action_steps
    policy_class = get_policy_class(config.type)
    torch.manual_seed(0)
    # LeRobot prints a line while loading; standard output belongs to the result.
    with contextlib.redirect_stdout(sys.stderr):
        policy = policy_class.from_pretrained(checkpoint, config=config) if trained else policy_class(config)
    overrides = {"device_processor": {"device": "cpu"}}
    before, behind = make_pre_post_processors(config, str(checkpoint), preprocessor_overrides=overrides)
    return Driver(policy.eval(), before, behind)


def roll_out(driver: Driver, starts: int, steps: int, film: list[Image] | None = None) -> Score:
    """Drive all starts at once; frames of the first few are appended to the film."""
    import numpy as np
    from pusht_task import FIRST_UNSEEN_SEED, make_env, observe, reset_to_easy_start, step

    environments = [make_env() for _ in range(starts)]
    for number, environment in enumerate(environments):
        reset_to_easy_start(environment, FIRST_UNSEEN_SEED + number)
    driver.policy.reset()
    coverage = np.zeros((steps, starts))
    for moment in range(steps):
        actions = driver.act([observe(environment) for environment in environments])
        coverage[moment] = [step(*pair) for pair in zip(environments, actions, strict=True)]
        if film is not None:
            film.append(_picture(environments[:FILMED]))
    best = coverage.max(axis=0)
    return Score(int((best >= HOME_COVERAGE).sum()), float(best.mean()), float(coverage[-1].mean()))


def _compare(checkpoint: Path, options: argparse.Namespace) -> dict[str, Score]:
    import torch

    torch.set_num_threads(1)
    film: list[Image] = []
    drivers = {
        name: load_driver(checkpoint, options.action_steps, trained=name == "trained")
        for name in ("trained", "untrained")
    }
    scores = {
        name: roll_out(driver, options.starts, options.steps, film if options.gif and name == "trained" else None)
        for name, driver in drivers.items()
    }
    if options.gif:
        _write_gif(options.gif, film)
    return scores


def _check_features(checkpoint: Path, config: Any) -> None:
    features = {key: tuple(feature.shape) for key, feature in config.input_features.items()}
    if features != FEATURES:
        raise RolloutError(
            f"{checkpoint} was trained for something else: it reads {features}, this example's task gives {FEATURES}.\n"
            "Train one on examples/pusht-mini/dataset."
        )


def _picture(environments: list[PushTEnv]) -> Image:
    """One frame: several rollouts side by side, without borders."""
    from PIL import Image

    views = [Image.fromarray(environment.render()) for environment in environments]
    width, height = views[0].size
    rows = -(-len(views) // FILMED_IN_A_ROW)
    picture = Image.new("RGB", (width * min(len(views), FILMED_IN_A_ROW), height * rows))
    for number, view in enumerate(views):
        row, column = divmod(number, FILMED_IN_A_ROW)
        picture.paste(view, (column * width, row * height))
    return picture


def _write_gif(file: Path, film: list[Image]) -> None:
    """One small palette for all frames keeps the file small."""
    palette = film[0].quantize(COLOURS)
    frames = [picture.quantize(palette=palette, dither=0) for picture in film]
    file.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=100, loop=0, optimize=True)


def _print(checkpoint: Path, scores: dict[str, Score], options: argparse.Namespace) -> None:
    if options.json:
        record = {name: vars(score) for name, score in scores.items()}
        print(json.dumps({"checkpoint": str(checkpoint), "starts": options.starts, **record}))
        return
    trained, untrained = scores["trained"], scores["untrained"]
    print(f"{checkpoint}, {options.starts} starts never seen in training, {options.steps / 10:g} seconds each\n")
    print(f"{'':24}{'trained':>12}{'untrained':>12}")
    homes = [f"{score.home} of {options.starts}" for score in (trained, untrained)]
    print(f"{f'T at least {HOME_COVERAGE:.0%} home':24}{homes[0]:>12}{homes[1]:>12}")
    print(f"{'mean best coverage':24}{trained.max_coverage:>12.2f}{untrained.max_coverage:>12.2f}")
    print(f"{'mean final coverage':24}{trained.final_coverage:>12.2f}{untrained.final_coverage:>12.2f}")


def _judge(score: Score, options: argparse.Namespace) -> int:
    """The exit code: 1 where the trained policy misses a bound that the command line demands."""
    misses = []
    if options.min_home is not None and score.home < options.min_home:
        misses.append(f"the T got home in {score.home} rollouts, {options.min_home} demanded")
    if options.min_coverage is not None and score.max_coverage < options.min_coverage:
        misses.append(f"mean best coverage is {score.max_coverage:.2f}, {options.min_coverage:.2f} demanded")
    for miss in misses:
        print(miss, file=sys.stderr)
    return 1 if misses else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="a run's outputs, a checkpoint, or its pretrained_model")
    add("--starts", type=_positive, default=20, help="how many rollouts (default: %(default)s)")
    add("--steps", type=_positive, default=80, help="how long, at 10 steps a second (default: %(default)s)")
    add("--action-steps", type=_positive, help="steps between two looks at the world (default: the policy's own)")
    add("--gif", type=Path, metavar="FILE", help=f"film the first {FILMED} rollouts")
    add("--json", action="store_true", help="print one JSON object instead of the table")
    add("--min-home", type=int, metavar="N", help="exit with 1 unless the T got home in at least N rollouts")
    add("--min-coverage", type=float, metavar="C", help="exit with 1 unless the mean best coverage is at least C")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())

"""The launcher's own options: what it hears from `work` of the half."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Those before the `--`. A policy's folder and `builtin` exclude each other; without `root` nothing is replayed."""
    parser = argparse.ArgumentParser(prog="launcher", allow_abbrev=False)
    add = parser.add_argument
    add("--job-name", required=True)
    _of_the_policy(parser)
    _of_the_replay(parser)
    _of_the_rollout(parser)
    add("--episodes", type=int, required=True)
    add("--batch", type=int, required=True, help="episodes that the policy acts in at once")
    add("--seed", type=int, required=True)
    add("--device", required=True)
    add("--results", type=Path, required=True)
    add("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    given = parser.parse_args(arguments)
    if given.starts_file:
        given.starts = given.starts_file.read_text(encoding="utf-8")
    return given


def _of_the_policy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--policy", type=Path, help="the folder of the model")
    add("--builtin", default="", help="the type of an untrained policy")
    add("--policy-name", default="", help="what the person calls it")
    add("--policy-source", default="", help="the kind of its source")
    add("--policy-pin", default="")
    add("--policy-step", type=int, default=0, help="at which it was saved; 0 when nobody knows")
    add("--keep-policy", type=Path, help="the folder that its files are kept in")
    add("--link-policy", action="store_true", help="nobody writes into its files: they are linked, and not copied")


def _of_the_replay(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--root", type=Path, help="the dataset that is replayed")
    add("--dataset-name", default="", help="what the person calls it")
    add("--replay-episodes", help="held-out, all, or as 0,3,5-9")
    add("--tolerance", type=float, default=1e-4, help="seconds that a video's frame may lie from its time")


def _of_the_rollout(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--env", default="")
    add("--env-steps", type=int)
    add("--starts")
    add("--starts-file", type=Path, help="holds what is too long for --starts")
    add("--success-reward", type=float)
    add("--success-threshold", type=float)
    add("--record-video", action="store_true")
    add("--workers", type=int, help="processes that step environments")

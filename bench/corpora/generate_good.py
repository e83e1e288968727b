"""Write `good.txt`: lines that LeRobot accepts, drawn at random with a fixed seed.

    ./uvw run python bench/corpora/generate_good.py --lerobot 0.6.1=PYTHON --lerobot 0.6.0=PYTHON --hub FOLDER

PYTHON: of an environment with that LeRobot and all its policies. FOLDER: a cache of the Hub with what configurations
read (tests/workloads/tiny_backbones.py fills it). A line of `lerobot-train` is good if LeRobot's parser, its
`validate()`, its dataset and the checks of the policy's network refuse nothing of what robotrain's container gives it.
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

import sampling
from final_options import Typed, ask_lerobot
from lines import Line, read_lines, write_lines
from world import make_world

SEED, WANTED, OLDER_SHARE = 32, 455, 0.15
INTRODUCTION = "Lines that LeRobot accepts, and those of good_by_hand.txt.\nWritten by generate_good.py."


def main() -> int:
    """Write the file; print how many were asked and what was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot", action="append", required=True, metavar="VERSION=PYTHON")
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--refused", type=Path, help="write the lines that LeRobot refused here")
    options = parser.parse_args()
    pythons = dict(one.split("=", 1) for one in options.lerobot)
    chance = random.Random(SEED)
    lines = draw_lines(chance)
    good: list[Line] = []
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["ROBOTRAIN_STATE"] = f"{place}/state"
        typed = Typed(make_world(Path(place, "world")))
        for version, python in pythons.items():
            chosen = [one for one in lines if (sampling.OLDER in one.words) == (version == sampling.OLDER)]
            asked = []
            for line in chosen:
                made = typed.make_options(line)
                if isinstance(made, str):
                    refused.append(f"{line.text}\n    robotrain: {made}")
                else:
                    asked.append((line, made))
            answers = ask_lerobot(Path(python), [made for _, made in asked], options.hub)
            for (line, _), answer in zip(asked, answers, strict=True):
                if answer["stage"]:
                    refused.append(f"{line.text}\n    {answer['stage']}: {answer['why']}")
                else:
                    good.append(line)
    if options.refused:
        options.refused.write_text("\n".join(refused))
    print(f"{len(lines)} drawn, {len(refused)} refused")
    by_hand = read_lines("good_by_hand.txt")
    write_lines("good.txt", INTRODUCTION, [*pick(good, chance), *by_hand])
    return 0


def draw_lines(chance: random.Random) -> list[Line]:
    """Return lines of each type in turn, more than are wanted."""
    newest = sampling.group_by_type([*sampling.list_bases()])
    older = sampling.group_by_type([*sampling.list_bases(sampling.OLDER)])
    lines, each = [], 2 * WANTED // len(newest)
    for kind, bases in newest.items():
        for _ in range(each):
            group = older[kind] if chance.random() < OLDER_SHARE else bases
            lines.append(sampling.draw_line(chance.choice(group), chance))
    return list(dict.fromkeys(lines))


def pick(good: list[Line], chance: random.Random) -> list[Line]:
    """Return as many as are wanted, of each type the same number where there are so many."""
    groups: dict[str, list[Line]] = {}
    for line in good:
        groups.setdefault(line.words[1], []).append(line)
    picked: list[Line] = []
    for group in groups.values():
        chance.shuffle(group)
    while len(picked) < WANTED and any(groups.values()):
        picked += [group.pop() for group in groups.values() if group]
    return sorted(picked[:WANTED], key=lambda line: line.words)


if __name__ == "__main__":
    raise SystemExit(main())

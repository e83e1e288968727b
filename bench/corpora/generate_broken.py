"""Write `broken.txt`: lines whose job fails, those of broken_by_hand.txt and others drawn at random.

    ./uvw run python bench/corpora/generate_broken.py --lerobot 0.6.1=PYTHON --lerobot 0.6.0=PYTHON --hub FOLDER

The options are those of generate_good.py. Of `lerobot-train`, a line is broken if LeRobot refuses what robotrain's
container gives it: its parser, `validate()`, its dataset, the policy's checks of the data, its network, the shapes of
the weights it starts from, the adapter or the optimizer; or, where broken_by_hand.txt says so, later. Lines of
robotrain's own flags, of platforms and of other workloads are judged by people. Drawn are misspelled names, values of
another kind, and values at which a class of LeRobot draws the line.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sampling
from final_options import CRASH, Typed, ask_lerobot
from lines import Line, read_lines, write_lines
from sampling import Base
from world import make_world

SEED = 23
DRAWN = {"name": 20, "type": 15, "rule": 40}
PROBED = 600
OWN = ("flag", "platform", "eval", "bags", "isaac")
"""Classes that LeRobot is not asked about."""
EARLY = ("parser", "validate")
INTRODUCTION = """Lines whose job fails, with the class, and what LeRobot says (the stage of a training in brackets).
Written by generate_broken.py."""


def main() -> int:
    """Write the file; print the lines that LeRobot accepts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot", action="append", required=True, metavar="VERSION=PYTHON")
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--by-hand", action="store_true", help="draw none")
    options = parser.parse_args()
    pythons = {name: Path(path) for name, path in (one.split("=", 1) for one in options.lerobot)}
    given, chance = read_lines("broken_by_hand.txt"), random.Random(SEED)
    drawn = [] if options.by_hand else draw_lines(chance)
    with tempfile.TemporaryDirectory() as place:
        os.environ["ROBOTRAIN_STATE"] = f"{place}/state"
        typed = Typed(make_world(Path(place, "world")))
        verdicts = {line: why for line, why in ask(typed, [*given, *drawn], pythons, options.hub)}
    for line in given:
        if not verdicts[line] and not line.why and line.kind not in OWN:
            print(f"accepted: {line.kind}: {line.text}")
    broken = [line._replace(why=verdicts[line] or line.why) for line in given]
    broken = [line for line in broken if line.why or line.kind in OWN]
    write_lines("broken.txt", INTRODUCTION, [*broken, *pick(drawn, verdicts, chance)])
    return 0


def ask(typed: Typed, lines: list[Line], pythons: dict[str, Path], hub: Path) -> Iterator[tuple[Line, str]]:
    """Yield each line with what LeRobot refuses of it; empty if it accepts it."""
    asked: dict[str, list[tuple[Line, list[str]]]] = {version: [] for version in pythons}
    for line in lines:
        made = "" if line.kind in OWN else typed.make_options(line)
        if isinstance(made, str):
            first = next((text for text in made.splitlines() if text), "")
            yield line, "robotrain: " + " ".join(first.removeprefix("error: ").split()) if made else ""
        else:
            version = sampling.OLDER if sampling.OLDER in line.words else next(iter(pythons))
            asked[version].append((line, made))
    for version, pairs in asked.items():
        answers = ask_lerobot(pythons[version], [made for _, made in pairs], hub)
        for (line, _), answer in zip(pairs, answers, strict=True):
            why = " ".join(answer["why"].replace(str(typed.world), "…").split())
            yield line, f"[{answer['stage']}] {why[:160]}" if answer["stage"] not in ("", CRASH) else ""


def pick(drawn: list[Line], verdicts: dict[Line, str], chance: random.Random) -> Iterator[Line]:
    """Yield as many of each class as are wanted; of rules each message once, as far as there are enough."""
    for kind, wanted in DRAWN.items():
        found = [line for line in drawn if line.kind == kind and verdicts[line]]
        chance.shuffle(found)
        first = {(line.words[1], verdicts[line][:60]): line for line in reversed(found)}
        chosen = [*first.values(), *(line for line in found if line not in first.values())][:wanted]
        yield from (line._replace(why=verdicts[line]) for line in chosen)


def draw_lines(chance: random.Random) -> list[Line]:
    """Return lines that are probably broken."""
    groups = sampling.group_by_type([*sampling.list_bases()])
    lines = []
    for _ in range(3 * DRAWN["name"]):
        lines.append(misspell(chance.choice(chance.choice([*groups.values()])), chance))
    for _ in range(3 * DRAWN["type"]):
        lines.append(change_kind(chance.choice(chance.choice([*groups.values()])), chance))
    for _ in range(PROBED):
        lines.append(probe(chance.choice(chance.choice([*groups.values()])), chance))
    return list(dict.fromkeys(line for line in lines if line))


def misspell(base: Base, chance: random.Random) -> Line:
    """Return a line with a name as fingers and memory spoil it."""
    fields = sampling.list_fields(base.trial.type, base.prefix)
    name = chance.choice([name for name in sorted(fields) if len(name) > 6])
    value = sampling.draw_value(name, fields[name], chance) or "1"
    at = chance.randrange(1, len(name) - 2)
    spoiled = chance.choice(
        (
            name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name.replace("_", "-") if "_" in name else name + "s",
            name.removesuffix("s") if name.endswith("s") else name + "s",
        )
    )
    prefix = chance.choice((base.prefix, base.prefix, base.prefix, "model", "policy.model"))
    return base.make_line((), (f"--{prefix}.{spoiled}={value}",), "name")


def change_kind(base: Base, chance: random.Random) -> Line:
    """Return a line with a value of another kind."""
    fields = sampling.list_fields(base.trial.type, base.prefix)
    plain = {name: field for name, field in fields.items() if len(field) > 1 and field[0] in ("int", "number", "bool")}
    name = chance.choice(sorted(plain))
    wrong = {
        "int": ("many", "1.5", "[4]", "8,", "1e3", "true!"),
        "number": ("1e-4s", "low", "[0.1]", "1/3", "0,001"),
        "bool": ("maybe", "2", "[true]", "enabled"),
    }
    return base.make_line((), (f"--{base.prefix}.{name}={chance.choice(wrong[plain[name][0]])}",), "type")


def probe(base: Base, chance: random.Random) -> Line:
    """Return a line with a value of the right kind beside those that are usual."""
    fields = sampling.list_fields(base.trial.type, base.prefix)
    plain = [name for name in sorted(fields) if len(fields[name]) > 1]
    name = chance.choice(plain)
    usual = fields[name][1]
    values: tuple[object, ...] = ("banana", "")
    if isinstance(usual, bool):
        values = (str(not usual).lower(),)
    elif isinstance(usual, int):
        values = (0, -1, usual + 1, 3 * usual, 7, 100000)
    elif isinstance(usual, float):
        values = (-1.0, 2.0, 0.0, 1e6)
    elif isinstance(usual, list):
        values = ("[]", "[0,0]", "[-1]", "[1000,1000]", "[7,7,7]")
    return base.make_line((), (f"--{base.prefix}.{name}={chance.choice(values)}",), "rule")


if __name__ == "__main__":
    raise SystemExit(main())

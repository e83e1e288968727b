"""The part of a page that tells an evaluation: scores, videos, every episode, errors, plots."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from robotrain_runtime.event import Evaluated

from robotrain import scores
from robotrain.amounts import size
from robotrain.report.bars import Bar, bars
from robotrain.report.elements import details, listed, number, quiet, section, shortened, tiles, warning
from robotrain.report.evaluation import Evaluation
from robotrain.report.media import GRID, PLOTS, SUMMARY, Medium
from robotrain.report.results_file import MOST, Joint, Replayed, Rolled, Said

OPEN_PANELS = 3
"""Of episodes; those of the others can be opened."""
FIRST_JOINTS = 12
UNITS = "Errors are in the dataset's own units."


def evaluation_part(found: Evaluation, run: str) -> str:
    """The whole of it."""
    return "\n".join(part for part in _parts(found, run) if part)


def _parts(found: Evaluation, run: str) -> Iterator[str]:
    yield section("Evaluation", "".join(map(warning, found.remarks)) + _scores(found))
    yield _videos(found)
    if found.said and found.said.rolled:
        yield _rollouts(found.said)
    if found.said and found.said.replayed:
        yield _replays(found.said)
    yield _plots(found)
    yield _left_out(found, run)


def _scores(found: Evaluation) -> str:
    said, told = found.said, found.told
    shown: list[tuple[str, ...]] = [
        _success_tile(found),
        ("greatest reward, mean", number(scores.number(told.scores, scores.REWARD), 3)),
        ("steps an episode", number(said.average_length, 3) if said else ""),
        ("mse", number(scores.number(told.scores, scores.SQUARED), 3)),
        ("mae", number(scores.number(told.scores, scores.ABSOLUTE), 3)),
        *([(f"{name} latency", f"{scores.few(value)} ms") for name, value in said.latency.items()] if said else []),
        ("actions a second", number(said.throughput) if said else ""),
    ]
    others = [] if any(text for _, text, *_ in shown) else scores.pairs(told)
    verdict = '<p class="reason">less than was demanded</p>' if told.passed is False else ""
    return _conditions(told) + tiles([*shown, *others]) + verdict + (listed(said.facts) if said else "")


def _conditions(told: Evaluated) -> str:
    """Under which the scores hold, above them."""
    within = scores.conditions(told)
    return f"<p>Under: {escape(within)}</p>" if within else ""


def _success_tile(found: Evaluation) -> tuple[str, ...]:
    rate, within = scores.share(found.told.scores, scores.RATE), scores.interval(found.told)
    remarks = (scores.counted(found.told), f"95% interval {within}" if within else "")
    return ("success", "" if rate is None else f"{rate:.0%}", "; ".join(filter(None, remarks)))


def _rollouts(said: Said) -> str:
    """Where the policy acted."""
    head = ("episode", "outcome", "greatest reward", "steps", "sum of rewards", "seconds", "seed")
    where = f"Episodes in {said.environment}" if said.environment else "Episodes"
    return section(where, _of_episodes(head, [_rolled(one) for one in said.rolled]))


def _rolled(one: Rolled) -> tuple[str, ...]:
    return (
        str(one.index),
        _success(one),
        number(one.max_reward),
        number(one.steps),
        number(one.sum_reward),
        number(one.seconds, 3),
        number(one.seed, 12),
    )


def _success(one: Rolled) -> str:
    return "" if one.success is None else "success" if one.success else "failure"


def _videos(found: Evaluation) -> str:
    rolled = {one.index: one for one in found.said.rolled} if found.said else {}
    of_all = "".join(_video(one, "the first episodes side by side") for one in found.media if one.name == GRID)
    of_one = [(one.episode, one) for one in found.media if one.type == "video/mp4" and one.episode is not None]
    failed = {at for at, one in rolled.items() if one.success is False}
    of_one.sort(key=lambda pair: pair[0] not in failed)
    single = "".join(_video(one, _caption(at, rolled.get(at))) for at, one in of_one)
    title = "Each episode" + (", those that failed first" if failed else "")
    body = of_all + (details(title, f'<div class="videos">{single}</div>', not of_all) if single else "")
    return section("Videos", body) if body else ""


def _caption(episode: int, rolled: Rolled | None) -> str:
    reward = f"greatest reward {number(rolled.max_reward)}" if rolled and rolled.max_reward is not None else ""
    return ", ".join(part for part in (f"episode {episode}", _success(rolled) if rolled else "", reward) if part)


def _replays(said: Said) -> str:
    """Where recorded actions were compared with the policy's."""
    held_out = {
        True: "These episodes were held out from training.",
        False: "The policy may have been trained on these episodes.",
    }
    head = ("episode", "steps", "mse", "mae", "ms an action", "actions a second")
    remark = quiet(" ".join((held_out[said.held_out], UNITS) if said.held_out is not None else (UNITS,)))
    episodes = _of_episodes(head, [_replayed(one) for one in said.replayed])
    return section("Recorded episodes", remark + episodes + _joints(said.joints))


def _of_episodes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return shortened(head, rows) + (quiet(f"the first {MOST} episodes") if len(rows) == MOST else "")


def _replayed(one: Replayed) -> tuple[str, ...]:
    values = (one.mse, one.mae, one.latency, one.throughput)
    return (str(one.episode), number(one.steps), *(number(value) for value in values))


def _joints(joints: Sequence[Joint]) -> str:
    drawn = [Bar(one.name, one.mae, _error(one)) for one in joints if one.mae is not None]
    if not drawn:
        return ""
    first, rest = drawn[:FIRST_JOINTS], drawn[FIRST_JOINTS:]
    top = max(bar.value for bar in drawn)
    more = details(f"{len(rest)} more", bars(rest, top)) if rest else ""
    return f"<h3>Mean absolute error of each number of an action</h3>{bars(first, top)}{more}"


def _error(one: Joint) -> str:
    return number(one.mae) + (f", at most {number(one.greatest)}" if one.greatest is not None else "")


def _plots(found: Evaluation) -> str:
    images = [one for one in found.media if one.type == "image/png"]
    episodes = list(dict.fromkeys(one.episode for one in images if one.episode is not None))
    body = "".join(_picture(one, "all episodes") for one in images if one.name == SUMMARY)
    for at, episode in enumerate(episodes):
        of_it = [one for one in images if one.episode == episode]
        body += details(f"Episode {episode}", "".join(map(_plot, of_it)), at < OPEN_PANELS)
    return section("Plots", body) if body else ""


def _plot(one: Medium) -> str:
    """The panel as it is; what it sums up can be opened."""
    shown = _picture(one, one.title)
    return shown if one.name.endswith(f"/{PLOTS[0]}.png") else details(one.title, shown)


def _picture(one: Medium, caption: str) -> str:
    alt = escape(f"{one.title}, {caption}")
    return f'<figure><img alt="{alt}" src="{_address(one)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _video(one: Medium, caption: str) -> str:
    return (
        f'<figure><video controls loop muted playsinline preload="metadata" src="{_address(one)}"></video>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _address(one: Medium) -> str:
    """The file itself, as an address."""
    return f"data:{one.type};base64,{base64.b64encode(one.data).decode('ascii')}"


def _left_out(found: Evaluation, run: str) -> str:
    """What the page has no room for, and where it is."""
    if not found.left_out:
        return ""
    total = size(sum(one.size for one in found.left_out))
    said = f"{len(found.left_out)} plots and videos ({total}) would make this page too large"
    if not found.folder:
        return section("Not on this page", quiet(f"{said}: robotrain outputs --to FOLDER {run} brings them"))
    links = "".join(
        f'<li><a href="{escape((Path(found.folder) / one.name).as_uri())}">{escape(one.name)}</a> {size(one.size)}</li>'
        for one in found.left_out
    )
    return section("Not on this page", quiet(f"{said}; here they lie in {found.folder}") + f"<ul>{links}</ul>")

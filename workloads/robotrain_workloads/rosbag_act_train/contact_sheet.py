"""Contact sheets: a few pictures of each camera, on the terminal and on a page that needs no network."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robotrain_workloads.rosbag.bag_files import open_bag
from robotrain_workloads.rosbag.messages import MessageError, decode_picture
from robotrain_workloads.rosbag.survey import BagFacts, BagSurvey

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = 6
"""Pictures of each camera of a bag, evenly over its time."""
_TERMINAL_WIDTH, _PAGE_WIDTH = 20, 160
_UPPER_HALF = "▀"


@dataclass(frozen=True)
class Strip:
    """Some pictures of one camera of one bag."""

    bag: str
    camera: str
    pictures: Sequence[NDArray[np.uint8]]
    """Each (height, width, 3), RGB, of one width."""
    problem: str = ""


def make_strips(survey: BagSurvey, *, salvage: bool, width: int) -> Iterator[Strip]:
    """Yield a strip for each camera of each bag that could be read; pictures are scaled to a width in pixels."""
    for bag_facts in survey.bags:
        for topic, camera in survey.settings.image_topics.items():
            if topic in bag_facts.topics and bag_facts.topics[topic].messages:
                yield _make_strip(bag_facts, topic, camera, salvage, width)


def format_strip(strip: Strip) -> str:
    """Return a strip for a terminal with colors: two pixels a character, pictures side by side."""
    rows = []
    height = min((len(picture) for picture in strip.pictures), default=0)
    for row in range(0, height - 1, 2):
        cells = []
        for picture in strip.pictures:
            for upper, lower in zip(picture[row], picture[row + 1], strict=True):
                colors = ";".join(str(int(value)) for value in upper), ";".join(str(int(value)) for value in lower)
                cells.append(f"\x1b[38;2;{colors[0]};48;2;{colors[1]}m{_UPPER_HALF}")
            cells.append("\x1b[0m ")
        rows.append("".join(cells).rstrip())
    return "\n".join(rows)


def get_terminal_width(columns: int) -> int:
    """Return the width of a picture in characters, so that a strip fits into some columns."""
    return max(8, min(_TERMINAL_WIDTH, columns // PICTURES - 1))


def render_page(survey: BagSurvey, rows: Sequence[Sequence[str]], *, salvage: bool) -> str:
    """Return the page of `robotrain bags inspect --html`."""
    from robotrain.report.template import render_template

    strips = make_strips(survey, salvage=salvage, width=_PAGE_WIDTH)
    return render_template(
        "contact_sheet.html",
        f"Bags in {survey.folder.name}",
        time.time(),
        package=__package__,
        rows=rows,
        strips=[(strip, [*map(_encode, strip.pictures)]) for strip in strips],
        refused=[(bag_facts.bag.name, bag_facts.problem) for bag_facts in survey.refused],
    )


def _make_strip(bag_facts: BagFacts, topic: str, camera: str, salvage: bool, width: int) -> Strip:
    from PIL import Image

    count = bag_facts.topics[topic].messages
    wanted = set(np.linspace(0, count - 1, min(PICTURES, count)).round().astype(int).tolist())
    pictures: list[NDArray[np.uint8]] = []
    try:
        with open_bag(bag_facts.bag, salvage=salvage) as opened:
            for position, message in enumerate(opened.read((topic,))):
                if position in wanted:
                    picture = decode_picture(message.content, None)
                    height = max(2, round(picture.shape[0] * width / picture.shape[1]))
                    pictures.append(np.asarray(Image.fromarray(picture).resize((width, height)), np.uint8))
                if position >= max(wanted):
                    break
    except (MessageError, ValueError) as error:
        return Strip(bag_facts.bag.name, camera, pictures, str(error))
    return Strip(bag_facts.bag.name, camera, pictures)


def _encode(picture: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()

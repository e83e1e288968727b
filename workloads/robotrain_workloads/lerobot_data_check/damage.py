"""Pictures that cannot be decoded, found by what is around their pixels: only those that look wrong are decoded."""

import importlib
import io
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from robotrain_workloads.lerobot_data_check.findings import DataFinding, Span, make_span_finding

PNG, PNG_END, CHUNK = b"\x89PNG\r\n\x1a\n", b"IEND", 12
"""The beginning of a PNG file, its last chunk, and the bytes of a chunk beside its content."""
JPEG, JPEG_END, JPEG_REST = b"\xff\xd8", b"\xff\xd9", 64
CODECS = {"libdav1d": "av1", "libaom-av1": "av1"}
"""What FFmpeg calls decoders whose codec has another name."""


class DamagedPictures:
    """The pictures of a dataset that cannot be decoded."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str], set[Span]] = defaultdict(set)

    def add(self, code: str, camera: str, episode: int, frame: int) -> None:
        """Add one, by the code of its kind of file."""
        self._spans[code, camera].add((episode, frame, frame + 1))

    @property
    def episodes(self) -> set[int]:
        """All that have one."""
        return {episode for spans in self._spans.values() for episode, *_ in spans}

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield what was found."""
        for (code, camera), spans in sorted(self._spans.items()):
            (episode, frame, _), *others = sorted(spans)
            more = f", and {len(others)} more" if others else ""
            text = f"{camera} has a picture that cannot be decoded: episode {episode}, frame {frame}{more}"
            yield make_span_finding(code, text, sorted(spans), len(others) + 1, "frames", camera)


def is_readable(content: bytes, *, decodes: bool = False) -> bool:
    """Return whether a picture is whole: by the checksums of PNG, the ends of JPEG, else (`decodes`) by decoding it."""
    if decodes:
        is_whole = False
    elif content.startswith(PNG):
        is_whole = _has_all_chunks(content)
    else:
        is_whole = content.startswith(JPEG) and JPEG_END in content[-JPEG_REST:]
    return is_whole or _can_decode(content)


def _has_all_chunks(content: bytes) -> bool:
    offset = len(PNG)
    view = memoryview(content)
    while offset + CHUNK <= len(content):
        end = offset + CHUNK + int.from_bytes(view[offset : offset + 4], "big")
        if end > len(content) or zlib.crc32(view[offset + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return False
        if view[offset + 4 : offset + 8] == PNG_END:
            return True
        offset = end
    return False


def _can_decode(content: bytes) -> bool:
    try:
        with importlib.import_module("PIL.Image").open(io.BytesIO(content)) as opened:
            opened.load()
    except Exception:  # of which decoders have many
        return False
    return True


def list_damaged_times(file: Any) -> list[float]:
    """Return the times of a video's pictures, in seconds, whose headers are none of its codec. Raise as PyAV does."""
    av = importlib.import_module("av")
    times = list[float]()
    bitstream = importlib.import_module("av.bitstream")
    with av.open(file) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.name
        filter_name = f"{CODECS.get(name, name)}_metadata"
        if filter_name not in bitstream.bitstream_filters_available:
            return []
        reader = bitstream.BitStreamFilterContext(filter_name, stream)
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                seconds = float((packet.pts - (stream.start_time or 0)) * stream.time_base)
                try:
                    reader.filter(packet)
                except av.error.FFmpegError:
                    times.append(seconds)
                    reader = bitstream.BitStreamFilterContext(filter_name, stream)
    return times


def list_decodable_times(file: Any) -> list[float]:
    """Return the times of a video's pictures, in seconds, that can be decoded wherever decoding begins.

    From a picture that cannot be decoded to the next key frame but one, none counts: LeRobot begins at the key frame
    before, and where decoding does not begin there, it may find other pictures in its place. Raise as PyAV does.
    """
    av = importlib.import_module("av")
    groups = dict[int, int]()
    decoded = set[int]()
    damaged = set[int]()
    group = 0
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                group += bool(packet.is_keyframe)
                groups[packet.pts] = group
            try:
                decoded |= {frame.pts for frame in packet.decode()}
            except av.error.FFmpegError:
                damaged.add(group)
        start, base = stream.start_time or 0, stream.time_base
    damaged |= {group for time, group in groups.items() if time not in decoded}
    damaged |= {group + 1 for group in damaged}
    return sorted(float((time - start) * base) for time, group in groups.items() if group not in damaged)

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
            (episode, frame, _), *other_spans = sorted(spans)
            more_text = f", and {len(other_spans)} more" if other_spans else ""
            finding_text = f"{camera} has a picture that cannot be decoded: episode {episode}, frame {frame}{more_text}"
            yield make_span_finding(code, finding_text, sorted(spans), len(other_spans) + 1, "frames", camera)


def is_readable(picture_bytes: bytes, *, decodes: bool = False) -> bool:
    """Return whether a picture is whole: by the checksums of PNG, the ends of JPEG, else (`decodes`) by decoding it."""
    if decodes:
        is_whole = False
    elif picture_bytes.startswith(PNG):
        is_whole = _has_all_chunks(picture_bytes)
    else:
        is_whole = picture_bytes.startswith(JPEG) and JPEG_END in picture_bytes[-JPEG_REST:]
    return is_whole or _can_decode(picture_bytes)


def _has_all_chunks(picture_bytes: bytes) -> bool:
    offset = len(PNG)
    picture_view = memoryview(picture_bytes)
    while offset + CHUNK <= len(picture_bytes):
        chunk_end = offset + CHUNK + int.from_bytes(picture_view[offset : offset + 4], "big")
        if chunk_end > len(picture_bytes) or zlib.crc32(picture_view[offset + 4 : chunk_end - 4]) != int.from_bytes(
            picture_view[chunk_end - 4 : chunk_end], "big"
        ):
            return False
        if picture_view[offset + 4 : offset + 8] == PNG_END:
            return True
        offset = chunk_end
    return False


def _can_decode(picture_bytes: bytes) -> bool:
    try:
        with importlib.import_module("PIL.Image").open(io.BytesIO(picture_bytes)) as opened_image:
            opened_image.load()
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
    group_by_time = dict[int, int]()
    decoded_times = set[int]()
    damaged_groups = set[int]()
    group_number = 0
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                group_number += bool(packet.is_keyframe)
                group_by_time[packet.pts] = group_number
            try:
                decoded_times |= {frame.pts for frame in packet.decode()}
            except av.error.FFmpegError:
                damaged_groups.add(group_number)
        start, time_base = stream.start_time or 0, stream.time_base
    damaged_groups |= {group_number for time, group_number in group_by_time.items() if time not in decoded_times}
    damaged_groups |= {group_number + 1 for group_number in damaged_groups}
    return sorted(
        float((time - start) * time_base)
        for time, group_number in group_by_time.items()
        if group_number not in damaged_groups
    )

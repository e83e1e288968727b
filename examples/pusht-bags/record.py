# /// script
# requires-python = "==3.12.*"
# dependencies = ["numpy==2.2.6", "pillow==12.3.0", "pyarrow==26.0.1", "rosbags==0.11.9"]
# ///
"""Record pusht-bags: the episodes of pusht-mini as ROS 2 bags, with a camera, and two damaged ones.

Its packages are named above: `uv run examples/pusht-bags/record.py OUT`, in a clone of the repository.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
MINI, CAMERA = HERE.parent / "pusht-mini", HERE.parent / "pusht-camera"
sys.path[:0] = [str(MINI), str(CAMERA)]

import numpy as np  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402
from PIL import Image  # noqa: E402
from record_camera import SIZE, WORLD, draw_image  # noqa: E402
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = dict[str, NDArray[np.float64]]
    """State, environment's state and action of an episode; each of shape (steps, values)."""

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types
START, SECOND, MILLISECOND = 1_700_000_000_000_000_000, 1_000_000_000, 1_000_000
FPS, EPISODES, SECONDS_APART = 10, 50, 60
JOINTS = ("agent_x", "agent_y")
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/keypoints": "std_msgs/msg/Float64MultiArray",
    "/camera/top/compressed": "sensor_msgs/msg/CompressedImage",
    "/action": "std_msgs/msg/Float64MultiArray",
}
FORMATS = {StoragePlugin.SQLITE3: "png", StoragePlugin.MCAP: "jpeg"}
CAMERA_LOST = range(20, 30)
"""The steps at which the camera of `damaged/camera_lost` is silent: one second."""
TRUNCATED_AT = 0.6
"""The part of the file of `damaged/truncated` that is left."""


def main() -> int:
    """Parse the command line, record, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE, help="default: %(default)s")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="number of episodes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the jitter (default: %(default)s)")
    options = parser.parse_args()
    bags, damaged = options.folder / "bags", options.folder / "damaged"
    if existing := [str(folder) for folder in (bags, damaged) if folder.exists()]:
        print(f"{' and '.join(existing)} exists already: choose another folder", file=sys.stderr)
        return 2
    for number in range(options.episodes):
        record(bags / f"ep{number:03}", number, options.seed)
    record(damaged / "camera_lost", 0, options.seed, lost=CAMERA_LOST)
    record(damaged / "truncated", 1, options.seed)
    file = damaged / "truncated/truncated.mcap"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * TRUNCATED_AT)])
    size = sum(file.stat().st_size for folder in (bags, damaged) for file in folder.rglob("*") if file.is_file())
    print(f"{options.episodes} bags and 2 damaged ones, {size / 1024:.0f} KB in {options.folder}")
    return 0


def record(folder: Path, number: int, seed: int, lost: range = range(0)) -> None:
    """Write an episode as a bag: SQLite if its number is even, else MCAP, where the joints are in the other order."""
    random = np.random.default_rng((seed, number))
    storage = (StoragePlugin.SQLITE3, StoragePlugin.MCAP)[number % 2]
    order = (0, 1) if storage is StoragePlugin.SQLITE3 else (1, 0)
    rows = read_rows(number)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Writer(folder, version=9, storage_plugin=storage) as bag:
        topics = {name: bag.add_connection(name, kind, typestore=STORE) for name, kind in TOPICS.items()}

        def write(topic: str, log: int, message: Any) -> None:
            bag.write(topics[topic], log, STORE.serialize_cdr(message, TOPICS[topic]))

        for step, (state, keypoints, action) in enumerate(zip(*rows.values(), strict=True)):
            now = START + number * SECONDS_APART * SECOND + step * SECOND // FPS
            late = random.uniform(0, (5, 5, 15, 5)) * MILLISECOND
            joints, points, picture, target = (now + int(delay) for delay in late)
            write("/joint_states", joints + MILLISECOND // 5, make_joints(joints, order, state))
            write("/keypoints", points, make_array(keypoints))
            if step not in lost:
                image = draw_image(state * SIZE / WORLD, (keypoints.reshape(8, 2) + 1) * SIZE / 2)
                # It is recorded 8 ms after it was taken.
                message = make_picture(picture, image, FORMATS[storage])
                write("/camera/top/compressed", picture + 8 * MILLISECOND, message)
            write("/action", target, make_array(action))


def read_rows(number: int) -> Rows:
    """Return an episode of pusht-mini."""
    rows = parquet.read_table(MINI / "dataset/data", filters=[("episode_index", "==", number)])
    names = ("observation.state", "observation.environment_state", "action")
    return {name: np.array(rows[name].to_pylist(), np.float64) for name in names}


def make_header(stamp: int) -> Any:
    """Return a header with a stamp in nanoseconds."""
    time = TYPES["builtin_interfaces/msg/Time"](int(stamp // SECOND), int(stamp % SECOND))
    return TYPES["std_msgs/msg/Header"](time, "world")


def make_joints(stamp: int, order: tuple[int, ...], values: NDArray[np.float64]) -> Any:
    """Return a JointState with the joints in an order."""
    empty = np.zeros(0)
    return TYPES["sensor_msgs/msg/JointState"](
        make_header(stamp), [JOINTS[joint] for joint in order], values[list(order)], empty, empty
    )


def make_array(values: NDArray[np.float64]) -> Any:
    """Return a Float64MultiArray, which has no header."""
    layout = TYPES["std_msgs/msg/MultiArrayLayout"]([], 0)
    return TYPES["std_msgs/msg/Float64MultiArray"](layout, values)


def make_picture(stamp: int, image: NDArray[Any], kind: str) -> Any:
    """Return a CompressedImage."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind.upper(), **({"quality": 85} if kind == "jpeg" else {"optimize": True}))
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    return TYPES["sensor_msgs/msg/CompressedImage"](make_header(stamp), kind, data)


if __name__ == "__main__":
    sys.exit(main())

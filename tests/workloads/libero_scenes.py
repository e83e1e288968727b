"""A stand-in of `lerobot/libero-assets`: boxes for what is in the first task of LIBERO's suite `libero_object`.

The real ones (0.4 GB of meshes and pictures) cannot be fetched here. Names, places and joints are those that LIBERO
asks for, so its own tasks, start states and simulation run with them.
"""

import struct
import zlib
from pathlib import Path

GROCERIES = ("alphabet_soup", "salad_dressing", "cream_cheese", "milk", "tomato_sauce", "butter")
FLOOR, WALL = "light-gray-floor-tile.png", "light-gray-plaster.png"
SCENE = f"""<mujoco model="floor">
  <asset>
    <texture name="texplane" type="2d" file="../textures/{FLOOR}"/>
    <texture name="tex-wall" type="2d" file="../textures/{WALL}"/>
    <material name="floorplane" texture="texplane" texrepeat="4 4"/>
    <material name="walls_mat" texture="tex-wall"/>
  </asset>
  <worldbody>
    <body name="floor">
      <geom name="floor" type="plane" size="3 3 0.125" material="floorplane" condim="3" group="1"/>
    </body>
    <geom name="wall" type="box" pos="-1.5 0 1" size="0.02 2 1" material="walls_mat" contype="0" conaffinity="0"/>
    <light name="above" pos="0.5 0 3" dir="0 0 -1" directional="true"/>
    <camera name="frontview" pos="1.6 0 1.45" quat="0.56 0.43 0.43 0.56"/>
    <camera name="birdview" pos="-0.2 0 3" quat="0.7071 0 0 0.7071"/>
    <camera name="agentview" pos="0.5 0 1.35" quat="0.653 0.271 0.271 0.653"/>
    <camera name="sideview" pos="-0.05651 1.2761 1.4879" quat="0.0099 0.0069 0.5912 0.8064"/>
  </worldbody>
</mujoco>
"""
THING = """<mujoco model="{name}">
  <worldbody>
    <body>
      <body name="object">
        <geom type="box" size="{size}" rgba="{color}" group="1" contype="0" conaffinity="0" mass="0.001"/>
        <geom type="box" size="{size}" group="0" rgba="0 0 0 0" density="300"/>{inside}
      </body>
      <site name="bottom_site" pos="0 0 -{height}" size="0.005" rgba="0 0 0 0"/>
      <site name="top_site" pos="0 0 {height}" size="0.005" rgba="0 0 0 0"/>
      <site name="horizontal_radius_site" pos="{height} {height} 0" size="0.005" rgba="0 0 0 0"/>
    </body>
  </worldbody>
</mujoco>
"""
REGION = """
        <site name="contain_region" type="box" size="0.04 0.04 0.02" pos="0 0 0.02" quat="1 0 0 0" rgba="0 0 0 0"/>"""


def make_scenes(folder: Path) -> Path:
    """Write the files, and return their folder."""
    files = {"scenes/libero_floor_base_style.xml": SCENE.encode()}
    for number, name in enumerate(GROCERIES):
        color = f"{number / 6:.2f} {1 - number / 6:.2f} 0.5 1"
        text = THING.format(name=name, size="0.02 0.02 0.03", height="0.03", color=color, inside="")
        files[f"stable_hope_objects/{name}/{name}.xml"] = text.encode()
    basket = THING.format(name="basket", size="0.07 0.07 0.01", height="0.01", color="0.5 0.3 0 1", inside=REGION)
    files["stable_scanned_objects/basket/basket.xml"] = basket.encode()
    files |= {f"textures/{name}": make_picture(shade) for name, shade in ((FLOOR, 170), (WALL, 210))}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def make_picture(shade: int, side: int = 8) -> bytes:
    """Return a gray PNG."""

    def make_chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade] * 3 * side)) * side)
    return b"\x89PNG\r\n\x1a\n" + make_chunk(b"IHDR", header) + make_chunk(b"IDAT", rows) + make_chunk(b"IEND", b"")

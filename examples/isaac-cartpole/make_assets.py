"""Make the assets of Isaac-Cartpole-Direct from what the packages of Isaac Lab 3.0 ship.

For machines that do not reach the asset server. Run it with the Python of an environment that has isaaclab 3.0; it
downloads nothing:

    ENVIRONMENT/bin/python make_assets.py FOLDER

Then train with `--assets FOLDER`. The cart is that of Newton's examples, and the ground is a plane: the
asset server has others.
"""

import importlib.util
import sys
from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

ROBOT = "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd"
GROUND = "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda"
HALF = 50.0
"""Half the side of the ground in meters."""


def make_robot(path: Path) -> None:
    """Write the cart with its pole."""
    newton = importlib.util.find_spec("newton")
    assert newton is not None
    assert newton.origin is not None
    text = Path(newton.origin).with_name("examples").joinpath("assets/cartpole_single_pendulum.usda").read_text()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace('defaultPrim = "cartPole"', 'defaultPrim = "cartpole"'))  # its prim has this name


def make_ground(path: Path) -> None:
    """Write a plane with the prims that Isaac Lab's terrain looks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = Sdf.Layer.CreateAnonymous(".usda")
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Root").GetPrim())
    environment = UsdGeom.Xform.Define(stage, "/Root/Environment")
    UsdGeom.XformCommonAPI(environment).SetScale(Gf.Vec3f(1, 1, 1))
    mesh = UsdGeom.Mesh.Define(stage, "/Root/Environment/Geometry")
    mesh.CreatePointsAttr([(-HALF, -HALF, 0), (HALF, -HALF, 0), (HALF, HALF, 0), (-HALF, HALF, 0)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    coordinates = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    )
    coordinates.Set([Gf.Vec2f(0, 0)] * 4)
    plane = UsdGeom.Plane.Define(stage, "/Root/CollisionPlane")
    plane.CreateAxisAttr("Z")
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    UsdGeom.Scope.Define(stage, "/Root/Looks")
    UsdShade.Material.Define(stage, "/Root/Looks/theGrid")
    UsdShade.Shader.Define(stage, "/Root/Looks/theGrid/Shader")
    layer.Export(str(path))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: make_assets.py FOLDER")
    folder = Path(sys.argv[1])
    make_robot(folder / ROBOT)
    make_ground(folder / GROUND)
    print(f"made the assets of Isaac-Cartpole-Direct: --assets {folder}")

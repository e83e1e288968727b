"""A stand-in to try things by hand: `PYTHONPATH=tests python -m osmo_stand_in FOLDER [--run ID]`.

Makes one in the folder, or goes on with the one that is there, and prints what to export in another shell. `--run` runs
the payload of a workflow, with this shell's proxy and certificates.
"""

import argparse
import os
import shlex
from pathlib import Path

from osmo_stand_in import OsmoStandIn, platform, pool
from osmo_stand_in.cli.main import script
from osmo_stand_in.refusal import Refusal

PASSED = ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "UV_OFFLINE")


def main() -> None:
    """Make it, and perhaps run something."""
    parser = argparse.ArgumentParser(prog="osmo_stand_in", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", metavar="ID")
    given = parser.parse_args()
    osmo = OsmoStandIn(given.folder.absolute())
    osmo.command.write_text(script(Path(__file__).parents[1], osmo.folder))  # that of tests ends with this process
    if given.run:
        environ = {name: os.environ[name] for name in PASSED if name in os.environ}
        try:
            print(f"# exit code {osmo.run(given.run, environ, timeout=86400.0)}")
        except (RuntimeError, Refusal) as error:
            parser.exit(1, f"{error}\n")
        finally:
            osmo.stop()  # also at Ctrl-C: the pod is a session of its own
        return
    osmo.pools["default"] = pool({"gpu_platform": platform(allowed_mounts=("/dev/shm",))})
    for name, value in osmo.environ.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()

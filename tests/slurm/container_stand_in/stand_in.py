#!/usr/bin/python3
"""Pyxis (as `srun`) and Apptainer, as strict stand-ins: they refuse unknown options, and really run the command.

A "container" sees the machine, but of the folder HIDDEN only what is mounted. As root only.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

HIDDEN = os.environ.get("STAND_IN_HIDDEN", "")
PYXIS = {"container-image": True, "container-mounts": True, "container-workdir": True, "container-env": True}
PYXIS |= {"no-container-entrypoint": False, "no-container-mount-home": False, "container-writable": False}
PYXIS_IMAGE = r"(?:[\w.:-]+#)?[a-z0-9._/-]+(?::[\w.-]+|@sha256:[0-9a-f]{64})|/.+\.sqsh"
APPTAINER = {"--bind": True, "--pwd": True, "--env": True, "--nv": False, "--cleanenv": False}
APPTAINER_IMAGE = r"docker://[\w./-]+(?::[\w.-]+|@sha256:[0-9a-f]{64})|/.+\.sif"


def refuse(message, code=1):
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)


def main():
    tool, words = Path(sys.argv[0]).name, sys.argv[1:]
    if words[:1] == ["--inside"]:
        run_inside(words[1].split(","), words[2], words[3:])
    elif tool == "srun":
        start_with_srun(words)
    else:
        start_with_apptainer(words)


def start_with_srun(words):
    """Check the options of Pyxis, and give the others to the real srun."""
    if words == ["--help"]:
        print(f"{subprocess.check_output(['/usr/bin/srun', '--help'], text=True)}\n      --container-image=IMAGE")
        return
    options, others = {}, []
    while words and words[0].startswith("--"):
        name, equals, value = words.pop(0)[2:].partition("=")
        if "container" not in name:
            others.append(f"--{name}{equals}{value}")
        elif name not in PYXIS or PYXIS[name] != bool(equals):
            refuse(f"unrecognized option '--{name}{equals}'")
        else:
            options[name] = value
    if not re.fullmatch(PYXIS_IMAGE, options.get("container-image", "")):
        refuse(f"pyxis: failed to import docker image {options.get('container-image')}")
    mounts = []
    for mount in options["container-mounts"].split(","):
        source, colon, target = mount.partition(":")
        if not colon or source != target or not os.path.exists(source):
            refuse(f"pyxis: invalid mount {mount}")
        mounts.append(source)
    note_use("pyxis", options["container-image"], ",".join(mounts))
    inside = [sys.argv[0], "--inside", ",".join(mounts), options["container-workdir"], *words]
    os.execv("/usr/bin/srun", ["srun", *others, *inside])


def start_with_apptainer(words):
    """Check the options, and run the command; a SIGTERM kills it, as if the tool did not pass it on."""
    if words.pop(0) != "exec":
        refuse("unknown command", 255)
    options = {}
    while words[0].startswith("--"):
        name = words.pop(0)
        if name not in APPTAINER:
            refuse(f"unknown flag: {name}", 255)
        options[name] = words.pop(0) if APPTAINER[name] else ""
    image = words.pop(0)
    if not re.fullmatch(APPTAINER_IMAGE, image) or (image.startswith("/") and not os.path.exists(image)):
        refuse(f"could not open image {image}", 255)
    note_use("apptainer", image, options["--bind"])
    child = subprocess.Popen([sys.argv[0], "--inside", options["--bind"], options["--pwd"], *words])
    signal.signal(signal.SIGTERM, lambda *_: child.kill())
    code = child.wait()
    sys.exit(code if code >= 0 else 128 - code)


def note_use(tool, image, mounts):
    with open(os.environ["STAND_IN_NOTES"], "a") as file:
        file.write(f"{tool} {image} {mounts}\n")


def run_inside(mounts, folder, command):
    """Become the command, in a mount namespace with nothing of HIDDEN but the mounts."""
    script = 'set -e\nstash=$(mktemp -d -p /run)\nmount -t tmpfs none "$stash"\nn=0\n'
    for path in mounts:
        kind = "mkdir" if os.path.isdir(path) else "touch"
        script += f'n=$((n+1)); {kind} "$stash/$n"; mount --rbind "{path}" "$stash/$n"\n'
    script += f'mount -t tmpfs none "{HIDDEN}"\nn=0\n'
    for path in mounts:
        make = f'mkdir -p "{path}"' if os.path.isdir(path) else f'mkdir -p "{os.path.dirname(path)}"; touch "{path}"'
        script += f'n=$((n+1)); {make}; mount --rbind "$stash/$n" "{path}"\n'
    script += f'cd "{folder}"\nexec "$@"\n'
    os.environ["IN_CONTAINER"] = "yes"
    words = ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", script, "sh", *command]
    os.execvp("unshare", words)


main()

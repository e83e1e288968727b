#!/usr/bin/env bash
# Stand-in for Isaac Lab's isaaclab.sh: `-p` runs Python, all else is refused as the real one does.
set -e
export ISAACLAB_PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")" &>/dev/null && pwd)"

if [ -z "$*" ]; then
    echo "[Error] No arguments provided." >&2
    exit 1 # the real one, too: 1 and not 2
fi
if [ "$1" != "-p" ]; then
    echo "[Error] Invalid argument provided: $1"
    exit 1
fi
shift
echo "[INFO] Using python from: ${STANDIN_PYTHON}" # on stdout, before the program's own
"${STANDIN_PYTHON}" "$@"

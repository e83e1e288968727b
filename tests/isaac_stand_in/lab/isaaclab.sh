#!/usr/bin/env bash
# Stand-in for Isaac Lab's isaaclab.sh: `-p` runs Python, `train` and `play` exist from 3.0 on, the rest is refused as
# the real one does.
set -e
export ISAACLAB_PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")" &>/dev/null && pwd)"

print_help() {
    echo -e "\nusage: $(basename "$0") [-h] [-i] [-f] [-p] [-s] [-t] [-o] [-v] [-d] [-n] [-c] [-u] -- Utility to manage Isaac Lab."
    echo -e "\noptional arguments:\n\t-p, --python         Run the python executable provided by Isaac Sim or virtual environment (if active)."
    echo -e "\n" >&2
}

if [ -z "$*" ]; then
    echo "[Error] No arguments provided." >&2
    print_help
    exit 1 # the real one, too: 1 and not 2
fi
python_exe="${STANDIN_PYTHON:-${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}}"
python_exe="${python_exe:-$(command -v python3)}"
case "$1" in
    -p | --python)
        echo "[INFO] Using python from: ${python_exe}" # on stdout, before the program's own
        shift
        "${python_exe}" "$@"
        ;;
    train | play)
        action="$1"
        entry="$ISAACLAB_PATH/scripts/reinforcement_learning/$action.py"
        if [ ! -f "$entry" ]; then
            echo "[Error] Invalid argument provided: $1"
            print_help
            exit 1
        fi
        shift
        "${python_exe}" "$entry" "$@"
        ;;
    -h | --help) print_help; exit 0 ;;
    *) echo "[Error] Invalid argument provided: $1"; print_help; exit 1 ;;
esac

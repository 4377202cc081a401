#!/bin/sh
# Sets up .venv in the project's root: `sh tools/setup.sh [PYTHON]`. Called by make; needs Python 3.11 or newer and nothing else.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)

good_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for name in ${1:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
        if good_python "$name"; then
            echo "$name"
            return
        fi
    done
    echo "setup: no Python 3.11 or newer with the venv module found; install one, or say make PYTHON=/path/to/python" >&2
    exit 1
}

# A machine without an NVIDIA GPU must not download CUDA (gigabytes) where a CPU build of the same torch can be had.
# Its own requirements come with the rest, from the usual place.
install_torch() {
    if [ "$(uname)" = Darwin ] || nvidia-smi >/dev/null 2>&1; then
        $pip "$pin"
    elif $pip --no-deps "$pin+cpu" 2>/dev/null; then
        echo "setup: CPU build of torch, from where pip is set to look"
    elif $pip --no-deps --index-url https://download.pytorch.org/whl/cpu --timeout 15 --retries 0 "$pin+cpu" 2>/dev/null; then
        echo "setup: CPU build of torch, from download.pytorch.org"
    else
        echo "setup: no CPU build of torch could be had here; taking the default build" >&2
        $pip "$pin"
    fi
}

python=$(find_python "$@")
echo "setup: $("$python" --version) in .venv"
"$python" -m venv .venv
pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"
pin=$(grep '^torch==' constraints.txt)
if .venv/bin/python -c "from importlib.metadata import version as v; assert v('torch').split('+')[0] == '${pin#torch==}'" 2>/dev/null; then
    echo "setup: torch is there already"
else
    install_torch
fi
$pip -e '.[test]'
touch .venv/.set-up
echo "setup: done in $(($(date +%s) - started)) s"

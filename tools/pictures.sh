#!/bin/sh
# Makes the pictures of the documentation again: screenshots of the app, and the chart that the examples ask about. Called by make.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python tools/pictures.py "$@"

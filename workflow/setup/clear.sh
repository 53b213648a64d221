#!/bin/sh
# Empties the folder of an environment, or makes one and marks it: what `make` did not set up stays, and we exit 1.
#
#   sh workflow/setup/clear.sh FOLDER
set -eu
mark=$1/.latent-text-bench

ours() { # by the mark, or by what earlier versions left
    for sign in "$mark" "$1"/build.lock "$1"/.installed-*; do
        [ -e "$sign" ] && return 0
    done
    [ -z "$(ls -A "$1" 2>/dev/null)" ]
}

if [ -e "$1" ] && ! { [ -d "$1" ] && ours "$1"; }; then
    echo "$1 was not set up by make: move it away, or name another folder (make VENV=folder)" >&2
    exit 1
fi
mkdir -p "$1"
touch "$mark"
find "$1/" -mindepth 1 -maxdepth 1 ! -name .latent-text-bench -exec rm -rf {} +

#!/bin/sh
# What must be on the machine before anything is installed. Names everything that is missing, each with its remedy,
# and exits 1; if nothing is missing, prints the interpreter to use.
#
#   sh workflow/setup/check.sh FOLDER      PYTHON=/path/to/python to choose the interpreter
set -u
folder=${1:-.}
space_needed=5 # GB, most of it for a CUDA build of torch
faults=0

missing() { # what, Debian, macOS, conda
    faults=$((faults + 1))
    printf '\nmissing: %s\n' "$1" >&2
    [ -n "${2:-}" ] && printf '  Debian, Ubuntu: %s\n' "$2" >&2
    [ -n "${3:-}" ] && printf '  macOS:          %s\n' "$3" >&2
    [ -n "${4:-}" ] && printf '  conda:          %s\n' "$4" >&2
}

supported() { # a name on PATH may be a shim that does not run: ask it
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' >/dev/null 2>&1
}

compiles() { echo 'int main() { return 0; }' | "$1" -x c++ -fsyntax-only - >/dev/null 2>&1; }

interpreter=
nearest=
if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON" # one interpreter, whose path may hold blanks
else
    set -- python3.11 python3.12 python3 python
fi
for candidate in "$@"; do
    supported "$candidate" || continue
    nearest=${nearest:-$candidate}
    if has_venv "$candidate" && has_headers "$candidate"; then
        interpreter=$candidate
        break
    fi
done

if [ -z "$nearest" ]; then
    missing "Python 3.11 or 3.12${PYTHON:+ (PYTHON=$PYTHON is not one that runs)}" \
        "apt-get install python3.11 python3.11-venv python3.11-dev   (or PYTHON=/path/to/python3.11 make)" \
        "brew install python@3.12" "conda create -n bench python=3.12 && conda activate bench"
elif [ -z "$interpreter" ]; then
    version=$("$nearest" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    has_venv "$nearest" || missing "the venv and ensurepip modules of $nearest" \
        "apt-get install python$version-venv" "brew reinstall python@$version" "conda install python=$version"
    has_headers "$nearest" || missing "the C headers (Python.h) of $nearest, with which kenlm is built" \
        "apt-get install python$version-dev" "brew reinstall python@$version" "conda install python=$version"
fi

compiler=
for candidate in ${CXX:-c++ g++ clang++}; do
    if compiles "$candidate"; then
        compiler=$candidate
        break
    fi
done
[ -n "$compiler" ] || missing "a C++ compiler, with which kenlm is built" \
    "apt-get install g++" "xcode-select --install" "conda install -c conda-forge cxx-compiler"

cmake --version >/dev/null 2>&1 || missing "cmake, with which kenlm is built" \
    "apt-get install cmake" "brew install cmake" "conda install -c conda-forge cmake"

probe=$folder/.writable-$$
if ! (mkdir -p "$folder" && mkdir "$probe") 2>/dev/null; then
    missing "the right to write into $folder (copy the project to a folder of your own)"
fi
rmdir "$probe" 2>/dev/null

free=$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }')
if [ "${free:-0}" -lt "$space_needed" ]; then
    missing "disk space: ${free:-0} GB are free in $folder, the packages need $space_needed GB (free some, or use another disk)"
fi

if [ "$faults" -gt 0 ]; then
    printf '\nNothing was installed. Mend the %d point(s) above, then run the same command again.\n' "$faults" >&2
    exit 1
fi
echo "$interpreter"

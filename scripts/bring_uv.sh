#!/usr/bin/env bash
# Brings uv into .uv, for machines without one (or with one too old).  Usage: scripts/bring_uv.sh PYTHON
set -euo pipefail
python=${1:-python3}
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
command -v "$python" >/dev/null || fail "$python is not installed; try: apt install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" -V 2>&1), 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "$python cannot make virtual environments; try: apt install python3-venv"
echo "· bringing uv into .uv"
"$python" -m venv --clear .uv ||
  fail "$python cannot make virtual environments; try: apt install python3-venv"
.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
  fail "uv could not be installed (no network?); with a uv of your own on PATH none is brought"

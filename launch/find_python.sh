#!/usr/bin/env bash
# Prints the path of a working python of the first of these versions that there is (default: 3.12, then 3.11).
#   launch/find_python.sh [VERSION ...]
# Each candidate is run, since a shim on the path may exist and still start nothing.
set -u
[ $# -gt 0 ] || set -- 3.12 3.11
for version in "$@"; do
  for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python3 python3 python; do
    found=$("$candidate" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null) || continue
    if [ "${found%% *}" = "$version" ]; then
      echo "${found#* }"
      exit 0
    fi
  done
done
echo "no working python $* (with venv) found; install one, or name it: make PYTHON=/path/to/python3.12" >&2
exit 1

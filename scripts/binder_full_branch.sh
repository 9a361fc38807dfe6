#!/usr/bin/env bash
# The branch binder-full: what is committed, with binder/full as its binder/. Binder reads an
# environment from there alone.
set -euo pipefail
index="$(mktemp -u)"
trap 'rm -f "$index"' EXIT
export GIT_INDEX_FILE="$index"
git read-tree HEAD
git rm -r --quiet --cached binder
git read-tree --prefix=binder/ HEAD:binder/full
commit="$(git commit-tree "$(git write-tree)" -p HEAD -m "Binder with PyTorch")"
git branch --force binder-full "$commit"
echo "binder-full is at ${commit:0:12}; push it: git push --force origin binder-full"

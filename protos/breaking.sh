#!/bin/sh
# What users and other versions rely on does not change: compared with the last release, or, before the first one,
# with the protos as they were first committed.
set -eu
against=$(git describe --tags --abbrev=0 2>/dev/null || git log --reverse --format=%H -- buf.yaml | head -n 1)
if [ -z "$against" ] || ! git cat-file -e "$against:buf.yaml" 2>/dev/null; then
    echo "buf breaking: there is nothing to compare with yet"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive "$against" protos buf.yaml | tar -x -C "$work"
# Images, because the number of modules in the workspace may differ.
(cd "$work" && buf build -o "$work/then.binpb" --path protos/restate)
buf build -o "$work/now.binpb" --path protos/restate
buf breaking "$work/now.binpb" --against "$work/then.binpb"
echo "buf breaking: nothing breaks since $against"

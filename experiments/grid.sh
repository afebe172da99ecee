# For experiments that are a grid (bash, sourced): cells are trained by the grid's own command and the code of one
# commit, what is done is skipped, what was interrupted goes on. Wants $commit, and $here, the experiment's folder.
# JOBS=2 trains two at a time. SCALARFID_DATA must hold the data, else they are downloaded.
shopt -s nullglob
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
code=$root/runs/code-$commit
name=$(basename "$here")
[ -d "$code" ] || git -C "$root" worktree add --detach "$code" "$commit"
mkdir -p "$here/cells" "$code/runs/$name"
cp -r "$here/cells/." "$code/runs/$name/"  # what is kept is done

# grid WORDS: train every combination and keep the finished cells, without their checkpoints
grid() {
  local summary kept
  (cd "$code" && "$python" -m scalarfid.train -m "$@" run.experiment="$name" run.compile=true run.threads=1 \
    run.progress=false run.device=cpu hydra/launcher=parallel hydra.launcher.processes="${JOBS:-1}") || failed=1
  for summary in "$code/runs/$name"/*/summary.json; do
    kept=$here/cells/$(basename "${summary%/*}")
    mkdir -p "$kept"
    cp "${summary%/*}"/{summary.json,status.json,config.yaml,model.safetensors} "$kept/"
  done
}

# report: of all kept cells; the status is 1 where a cell failed
report() {
  "$python" -m scalarfid.report "$here/cells" out="$here/report"
  exit "${failed:-0}"
}

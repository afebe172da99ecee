#!/usr/bin/env bash
# Trains the cells of the first-light table: three backbones × {none, pan+pgs} on two sets of DFT data.
# Usage: experiments/first_light/run.sh [ethanol|ag]   (SCALARFID_DATA must hold the data, else they are downloaded)
# Cells that are finished are skipped, interrupted ones go on.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
for set in "${@:-ethanol}"; do
  case $set in
    ethanol) data=(dataset=rmd17 dataset.molecule=ethanol dataset.n_train=200 dataset.n_val=50 training.max_epochs=30) ;;
    ag) data=(dataset=ag dataset.n_train=60 training.max_epochs=8) ;;
    *) echo "unknown set $set: ethanol or ag" >&2; exit 2 ;;
  esac
  for backbone in mace_small nequip_small allegro_small; do
    for probe in none pan+pgs; do
      "$python" -m scalarfid.train backbone=$backbone probe=$probe "${data[@]}" \
        run.experiment=first_light run.threads=1 run.progress=false
    done
  done
done

#!/usr/bin/env bash
# Explains a few images of every data set under NAVE_DATA, and compares NAVE with the baselines: minutes on a laptop.
# Usage: bash experiments/every_data_set.sh [OUTPUT FOLDER]
set -euo pipefail
out="${1:-outputs/every_data_set}"
few="model=efficientnet_lite0 image_size=128 k=3 loader.limit=6 overlays=0 photographs=null"
min="localization.min_area=100 localization.border=3"

# boxes are scored on VOC, COCO and the radiographs that have them, masks on VOC; STL-10 has neither
"${PYTHON:-python}" -m nave.run -m data=voc07,voc12,coco,coco20k,chestxray14,stl10 $few $min stability=2 hydra.sweep.dir="$out/sets"
# the 246 images of the unlabelled split, and the radiographs with boxes
"${PYTHON:-python}" -m nave.run data=stl10 data.split=unlabeled $few $min hydra.run.dir="$out/unlabeled"
"${PYTHON:-python}" -m nave.run data=chestxray14 data.split=boxes $few $min hydra.run.dir="$out/boxes"
"${PYTHON:-python}" -m nave.run -m data=voc07 localization=nave,lost,tokencut,whole_image $few hydra.sweep.dir="$out/baselines"

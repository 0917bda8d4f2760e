#!/bin/sh
# Train the default model again: models/duo-v1.sh RUNS CORPUS RENDERED
# RENDERED is made by karaoke.training.workshop.music; duo-v1.md tells how. What was trained is gone on with, if
# the command is stopped and given again. It needs the network once, for Spleeter's weights.
set -eu
runs=$1 corpus=$2 rendered=$3
models=$(dirname "$0")
mkdir -p "$runs"

spleeter=$(karaoke models pull spleeter)

# Stems of the corpus' finished songs, as estimated by two models.
if [ ! -f "$runs/estimated/manifest.tsv" ]; then
    karaoke workshop estimate "$corpus" "$runs/estimated" \
        --model spleeter=0.7 --model open-v4=0.3
fi

# Spleeter's network for vocals, trained on: 300 steps of 4 mixtures, then 150 of 8.
unet() {
    karaoke train "$corpus" "$rendered" "$runs/estimated" -o "$runs/unet" --cache "$runs/cache" \
        --recipe "$models/unet.toml" --start-from "$spleeter" \
        --set seed=12 --set learning_rate=1e-4 --set validate_every=150 "$@"
}
unet --set steps=300 --set batch_size=4
unet --set steps=450 --set batch_size=8

# Half way back to where it began, it votes with the first network of open-v4.
karaoke workshop combine --between 0.5 "$spleeter" "$runs/unet/last.safetensors" \
    "$runs/half.safetensors"
karaoke workshop combine --member 1 "$models/open-v4.safetensors" "$runs/first.safetensors"
karaoke workshop combine "$runs/half.safetensors" "$runs/first.safetensors" \
    "$runs/duo-v1.safetensors" --weights 0.7,0.3

#!/bin/sh
# Train the default model again: models/open-v2.sh RUNS CORPUS RENDERED SUNG
# RENDERED is made by karaoke.training.music, SUNG by karaoke.training.singing; open-v2.md tells how.
# What was trained is gone on with, if the command is stopped and given again.
set -eu
runs=$1 corpus=$2 rendered=$3 sung=$4
models=$(dirname "$0")

train() {
    name=$1
    shift
    karaoke train "$@" -o "$runs/$name" --recipe "$models/band_split.toml" --cache "$runs/cache"
}

train a "$corpus" "$rendered" "$sung" --set seed=51
train b "$corpus" "$rendered" --set seed=52 --set steps=2160 \
    --set config.features=48 --set config.hidden=64 --set config.layers=4 \
    --set config.stereo_centre=false --set config.local_channels=0 \
    --set mixtures.aligned_share=0.15 --set mixtures.song_share=0.25 --set mixtures.dry_share=0.2
train c "$corpus" "$rendered" "$sung" --set seed=32 --set steps=400 \
    --set optimizer=adamw --set learning_rate=2e-3 --set batch_size=12 \
    --set config.features=48 --set config.hidden=64 --set config.layers=4 \
    --set config.dropout=0.1 --set config.stereo_centre=false --set config.local_channels=0 \
    --set mixtures.aligned_share=0.18 --set mixtures.song_share=0.3 \
    --set mixtures.own_music_share=0.25 --set mixtures.dry_share=0
python -m karaoke.training.combine "$models/open-v1.safetensors" \
    "$runs/a/last.safetensors" "$runs/b/last.safetensors" "$runs/c/last.safetensors" \
    "$runs/open-v2.safetensors"

#!/bin/sh
# Train the default model again: models/open-v4.sh RUNS CORPUS RENDERED SUNG
# RENDERED is made by karaoke.training.workshop.music, SUNG by karaoke.training.workshop.singing; open-v4.md tells how.
# What was trained is gone on with, if the command is stopped and given again.
set -eu
runs=$1 corpus=$2 rendered=$3 sung=$4
models=$(dirname "$0")

train() {
    name=$1
    shift
    karaoke train "$corpus" "$rendered" "$@" \
        -o "$runs/$name" --recipe "$models/band_split.toml" --cache "$runs/cache"
}

# More of the songs, no wide voices, fewer mixtures without a voice.
first() {
    run=$1
    shift
    train "$run" --set config.dropout=0.12 --set learning_rate=2.5e-3 \
        --set mixtures.aligned_share=0.15 --set mixtures.song_share=0.25 \
        --set mixtures.own_music_share=0.2 --set mixtures.wide_share=0 \
        --set mixtures.vocals_absent_share=0.08 "$@"
}

convolutions() {
    "$@" --set config.features=32 --set config.hidden=48 --set config.layers=3 \
        --set config.stereo_centre=true --set config.local_channels=16
}

first a --set seed=52 --set steps=2160
convolutions first b "$sung" --set seed=51 --set steps=2040 \
    --set mixtures.aligned_share=0.13 --set mixtures.song_share=0.22 --set mixtures.dry_share=0.3
train a2 "$sung" --set seed=62 --start-from "$runs/a/last.safetensors"
convolutions train b2 "$sung" --set seed=61 --set steps=2830 \
    --start-from "$runs/b/last.safetensors" --set mixtures.aligned_share=0.08 \
    --set mixtures.song_share=0.16 --set mixtures.dry_share=0.25
first c "$sung" --set seed=32 --set steps=400 \
    --set optimizer=adamw --set learning_rate=2e-3 --set batch_size=12 --set config.dropout=0.1 \
    --set mixtures.aligned_share=0.18 --set mixtures.song_share=0.3 \
    --set mixtures.own_music_share=0.25 --set mixtures.dry_share=0
train d "$sung" --set seed=72 --set steps=2880 --set config.layers=6 \
    --start-from "$runs/a2/last.safetensors"
karaoke workshop combine --exponent 0.65 "$runs/a2/last.safetensors" \
    "$runs/b2/last.safetensors" "$runs/c/last.safetensors" "$runs/d/last.safetensors" \
    "$runs/open-v4.safetensors"

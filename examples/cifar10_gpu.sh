#!/bin/bash
# DiffPure against dpsam on CIFAR-10 with the field's classifier (RobustBench's Standard) and score model (google/ddpm-cifar10-32).
#
# NOT RUN: no GPU has run this yet. Its command lines are parsed by the tests, and each part runs on CPUs at small scale.
#
#   pip install "purebench[hub]"
#   bash examples/cifar10_gpu.sh              what it would cost on this machine: data and weights are downloaded, nothing is run or stored
#   bash examples/cifar10_gpu.sh run          the runs; the same command again goes on where it stopped
#   DEVICE=cuda:1 SAMPLES=128 bash examples/cifar10_gpu.sh run
set -euo pipefail
device=${DEVICE:-cuda} samples=${SAMPLES:-512} results=${RESULTS:-results/cifar10-gpu} step=--dry-run
if [ "${1:-}" = run ]; then step=; fi

# The first hour: is this machine sound, and what do its networks take? (In a checkout, before it: pytest -m cuda)
bench doctor
bench doctor --benchmark --device "$device"

# Deterministic: the exact gradient, RobustBench's protocol, and the same without sharpness-aware minimization.
bench run --dataset cifar10 --defense none --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dpsam --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dp --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dpsam --attack robustbench -n "$samples" --device "$device" --results "$results" $step

# Stochastic: the protocols that took DiffPure's published number down.
bench run --dataset cifar10 --defense diffpure --attack dw-box-2024 -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense diffpure --attack diffhammer-2024 -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense diffpure --attack lee-kim-2023 -n "$samples" --device "$device" --results "$results" $step

if [ -z "$step" ]; then
  bench leaderboard --results "$results" --against dpsam --require "full gradient"
fi

#!/bin/bash
# DiffPure against dpsam on CIFAR-10 with the field's classifier (RobustBench's Standard) and score model (google/ddpm-cifar10-32).
#
# NOT RUN: no GPU has run this yet. Its command lines are parsed by the tests, and each part runs on CPUs at small scale.
#
#   pip install "purebench[hub]"
#   bash examples/cifar10_gpu.sh              predicts the cost on this machine; downloads data and weights, runs and stores nothing
#   bash examples/cifar10_gpu.sh run          runs; the same command resumes where it stopped
#   DEVICE=cuda:1 SAMPLES=128 bash examples/cifar10_gpu.sh run
set -euo pipefail
device=${DEVICE:-cuda} samples=${SAMPLES:-512} results=${RESULTS:-results/cifar10-gpu} step=--dry-run
if [ "${1:-}" = run ]; then step=; fi

# First check the machine and time its networks. (In a checkout, run pytest -m cuda before.)
bench doctor
bench doctor --benchmark --device "$device"

# Deterministic: the exact gradient, RobustBench's protocol, and the same without sharpness-aware minimization.
bench run --dataset cifar10 --defense none --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dpsam --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dp --attack pgd-full -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense dpsam --attack robustbench -n "$samples" --device "$device" --results "$results" $step

# Stochastic: the protocols that lowered DiffPure's published number.
bench run --dataset cifar10 --defense diffpure --attack dw-box-2024 -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense diffpure --attack diffhammer-2024 -n "$samples" --device "$device" --results "$results" $step
bench run --dataset cifar10 --defense diffpure --attack lee-kim-2023 -n "$samples" --device "$device" --results "$results" $step

if [ -z "$step" ]; then
  bench leaderboard --results "$results" --against dpsam --require "full gradient"
fi

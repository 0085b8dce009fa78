#!/bin/sh
# Train on all GPUs of one machine:   experiments/launch/single_node.sh emoji --seed 0
#
# Without a GPU, PROCESSES=2 gives two CPU processes. Ctrl-C or a SIGTERM to torchrun reaches every
# process; they save, say so and exit, and the same command continues. torchrun waits 30 s for them.
set -eu
exec torchrun --standalone --nproc-per-node="${PROCESSES:-gpu}" -m experiments.cli train "$@"

#!/usr/bin/env bash
# The main job, for real: a lab comes up with vLLM serving a small model, the solution fine-tunes it with LoRA and loads the
# adapter into the running server, every criterion is verified, and the session ends.
set -euo pipefail
cd "$(dirname "$0")/.."
labctl=.venv/bin/labctl
lab=stage2-finetune
session=$lab--demo

say() { printf '\n\033[1;36m$ %s\033[0m\n' "$*"; "$@"; }
trap '$labctl down $session --quiet >/dev/null 2>&1 || true' EXIT

say $labctl up $lab --profile cpu --learner demo
say $labctl lab solve $session --yes
say $labctl verify $session
say $labctl down $session

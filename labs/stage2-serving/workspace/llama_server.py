"""The service `llama`: llama.cpp's own server over out/model.gguf. Given; labctl starts it with the session.

As long as there is no file it waits for one, and it begins anew when the file is replaced.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import xllamacpp

LOOK_EVERY_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("out/model.gguf"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    args = parser.parse_args()
    if not args.model.is_file():
        print(f"waiting for {args.model}", flush=True)
    while not args.model.is_file():
        time.sleep(LOOK_EVERY_S)
    seen = state(args.model)
    server = start(args)
    while state(args.model) == seen:
        time.sleep(LOOK_EVERY_S)
    del server
    print(f"{args.model} has changed", flush=True)
    os.execv(sys.executable, [sys.executable, *sys.argv])  # a new process: nothing of the old model is left


def state(model: Path) -> tuple[int, int, int] | None:
    """What changes when the file is replaced; None when it is gone."""
    try:
        found = model.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def start(args: argparse.Namespace) -> xllamacpp.Server | None:
    """The server, in threads of its own; None when llama.cpp does not take the file. It says why in the log."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(args.model)
    settings.model_alias = {"base"}
    settings.hostnames = [args.host]
    settings.port = args.port
    settings.n_ctx = 2048
    settings.n_parallel = 4
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    settings.endpoint_metrics = True
    try:
        return xllamacpp.Server(settings)
    except Exception as error:  # noqa: BLE001 whatever is wrong with the file, the next one may be right
        print(f"llama.cpp refuses {args.model}: {error}", flush=True)
        return None


if __name__ == "__main__":
    main()

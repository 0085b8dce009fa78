"""All parts, one after another, each in a process of its own; page and JSON grow with every row."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import experiments.benchmarks.gpu.parts as package
from experiments.benchmarks.gpu import process
from experiments.benchmarks.gpu.page import page
from experiments.benchmarks.gpu.part import Part, Row
from experiments.benchmarks.gpu.parts.machine import described
from experiments.benchmarks.gpu.process import PREFIX
from experiments.registry import kinds
from experiments.run_folder import provenance
from theory.errors import InputError
from theory.storage import write_atomically


def parts() -> list[type[Part]]:
    """Every part, in the order in which they run."""
    return sorted(kinds(package, Part), key=lambda kind: kind.order)


def run_parts(out: Path, *, pretend: bool, only: Sequence[str] = ()) -> dict[str, Any]:
    """Measure this machine, and add it to the machines of the page.

    Args:
        out: the Markdown page; `.json` and figures lie beside it. What other machines wrote stays.
        pretend: every part at toy size on the CPU.
        only: names of parts; what the page has of the others stays. All by default.

    Returns:
        What this machine gave: its description, and for each part its rows, seconds and failure.

    Raises:
        InputError: there is no GPU, or no part of that name.
    """
    for name in only:
        if name not in (known := [kind.name for kind in parts()]):
            raise InputError(
                f"part {name!r}", rule="the parts are " + ", ".join(known), fix="choose among them"
            )
    if not pretend and not torch.cuda.is_available():
        raise InputError(
            "bench gpu without a GPU",
            rule="it measures an NVIDIA GPU that this torch can use",
            fix="run it where `nvidia-smi` lists one, with a CUDA build of torch, or --pretend",
        )
    console = Console(highlight=False, stderr=True)
    machine = described(torch.device("cpu" if pretend else "cuda"))
    commit = str(provenance()["commit"] or "")[:7]
    wanted = [kind for kind in parts() if not only or kind.name in only]
    found: dict[str, Any] = {"machine": machine, "pretend": pretend, "parts": {}}
    for kind in wanted:
        part: dict[str, Any] = {"title": kind.title, "commit": commit}
        part |= {"rows": [], "failed": "", "seconds": 0}
        found["parts"][kind.name] = part
        started = time.perf_counter()
        console.print(f"{kind.title}, at most {kind.limit} s", markup=False)

        def keep(row: Row, part: dict[str, Any] = part) -> None:
            part["rows"].append(row)
            _write(out, found)
            told = ", ".join(f"{key} {value}" for key, value in row.items())
            console.print(f"  {told}", markup=False, soft_wrap=True)

        log = out.with_name(f"{out.stem}-{kind.name}.log")
        part["failed"] = _in_own_process(kind, pretend, keep, log)
        part["seconds"] = round(time.perf_counter() - started, 1)
        if part["failed"]:
            console.print(f"  failed: {part['failed']}", markup=False, soft_wrap=True)
        _write(out, found)
    return found


def _in_own_process(kind: type[Part], pretend: bool, keep: Any, log: Path) -> str:
    """Runs a part; gives what went wrong, in one line, or nothing. The log says it at length."""
    part = kind.__module__, kind.__name__, *["pretend"] * pretend
    command = [sys.executable, "-m", process.__name__, *part]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(  # noqa: S603 -- this package
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True
        ) as worker,
    ):
        late = threading.Event()

        def stop() -> None:
            late.set()
            os.killpg(worker.pid, signal.SIGKILL)

        timer = threading.Timer(kind.limit, stop)
        timer.start()
        try:
            assert worker.stdout is not None
            for line in worker.stdout:
                if line.startswith(PREFIX):
                    keep(json.loads(line.removeprefix(PREFIX)))
            code = worker.wait()
        except BaseException:
            os.killpg(worker.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        if late.is_set():
            return f"stopped after {kind.limit} s"
        if code == 0:
            return ""
        complaints.seek(0)
        text = complaints.read()
        with write_atomically(log) as temporary:
            temporary.write_text(text, encoding="utf-8")
        lines = text.strip().splitlines()
        return f"exit code {code}: {lines[-1] if lines else 'nothing was said'}"


def _write(out: Path, found: dict[str, Any]) -> None:
    """The JSON of all machines so far and their page; parts that ran again are replaced."""
    store = out.with_suffix(".json")
    machines = json.loads(store.read_text()) if store.exists() else []
    for one in machines:
        if one["machine"] == found["machine"]:
            one["parts"] |= found["parts"]
            break
    else:
        machines.append(found)
    with write_atomically(store) as temporary:  # in the order of parts and columns
        temporary.write_text(json.dumps(machines, indent=1) + "\n", encoding="utf-8")
    with write_atomically(out) as temporary:
        order = [kind.name for kind in parts()]
        temporary.write_text(page(machines, out, order), encoding="utf-8")

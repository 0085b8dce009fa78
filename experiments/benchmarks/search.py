"""The exact ten best of a million embeddings beside faiss's flat index, in one process."""

import json
import os
import subprocess
import sys
import time
from typing import Any

from experiments.benchmarks.measurement import Measurement
from experiments.benchmarks.objective import _peak_memory

GALLERY, QUERIES, DIMENSION, K = 1_000_000, 10_000, 512, 10


def measurements() -> list[Measurement]:
    """Once, in a process of its own, since a peak of memory is never taken back."""
    return [measured(GALLERY, QUERIES)]


def measured(gallery: int, queries: int) -> Measurement:
    """Ours and faiss's on the same embeddings."""
    code = f"from experiments.benchmarks.search import tell; tell({gallery}, {queries})"
    done = subprocess.run(  # noqa: S603 -- this very file
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stdout)
    return Measurement(
        work=f"{K} best of {gallery:,} x {DIMENSION} for {queries:,} queries, "
        f"{told['threads']} threads",
        seconds=told["seconds"],
        reference="faiss-cpu, flat" if told["reference_seconds"] else "",
        reference_seconds=told["reference_seconds"] or float("nan"),
        target="peak below 4 GiB",
        note=f"peak of the process {told['peak'] / 2**30:.2f} GiB before faiss; "
        f"rows agree: {told['agreement']:.4%}",
    )


def tell(gallery: int, queries: int) -> None:
    """Times, peak and agreement as JSON."""
    import torch

    from smartclip.evaluate.search import best

    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    held = torch.randn(gallery, DIMENSION, generator=generator)
    held /= torch.linalg.vector_norm(held, dim=1, keepdim=True)
    asked = torch.randn(queries, DIMENSION, generator=generator)
    asked /= torch.linalg.vector_norm(asked, dim=1, keepdim=True)
    started = time.perf_counter()
    found = best(asked, held, K)
    told: dict[str, Any] = {
        "threads": threads,
        "seconds": time.perf_counter() - started,
        "peak": _peak_memory(),
        "reference_seconds": 0.0,
        "agreement": 1.0,
    }
    try:
        import faiss
    except ModuleNotFoundError:
        print(json.dumps(told))
        return
    faiss.omp_set_num_threads(threads)
    started = time.perf_counter()
    # The search of IndexFlatIP, without the index's own copy of the embeddings.
    _, rows = faiss.knn(asked.numpy(), held.numpy(), K, metric=faiss.METRIC_INNER_PRODUCT)
    told["reference_seconds"] = time.perf_counter() - started
    told["agreement"] = float((found.rows == torch.from_numpy(rows)).double().mean())
    print(json.dumps(told))

"""Images per second, stage by stage: decoding, loading, encoding, whole runs; and what a run does on the GPU."""

import json

import torch
from torch.profiler import ProfilerActivity, profile

from nave.bench.cases import Bench, Case
from nave.bench.end_to_end import Figures, seconds
from nave.bench.trace import summary
from nave.build import build_explainer, instantiate
from nave.runs.record import Record

TRIAL, TRACED = 12, 3  # batches


def decode(bench: Bench) -> Figures:
    """Decoding on one core, 500 x 375 pixels."""
    indices = range(min(len(bench.dataset), 200))
    took = seconds(lambda: [bench.dataset.image(index) for index in indices])
    return {"decode_one_core_images_per_second": len(indices) / took}


def load(bench: Bench, size: str) -> Figures:
    """From files to batches in memory, with the processes that a run has."""
    cfg = bench.configuration(*bench.case(size).options, f"loader.limit={bench.images}")
    loader = instantiate(cfg.loader, dataset=bench.dataset)
    took = seconds(lambda: [None for _ in loader.predict_dataloader()])
    return {f"loader_{size}_images_per_second": bench.images / took}


def encode(bench: Bench, case: Case) -> Figures:
    """From files to activations on the device; and the encoder alone, on the same batches."""
    cfg = bench.configuration(*case.options, f"loader.limit={bench.images}")
    encoder = build_explainer(cfg).to(bench.device).encoder
    loader = instantiate(cfg.loader, dataset=bench.dataset)
    batches: list[torch.Tensor] = []

    def both() -> None:
        for batch in loader.predict_dataloader():
            batches.append(batch.to(bench.device).images)
            encoder(batches[-1])

    lower = torch.autocast(bench.device.type, torch.bfloat16, enabled=case.precision == "bf16")
    with torch.inference_mode(), lower:
        height, width = (bench.resized,) * 2 if case.size != "native" else bench.size
        encoder(torch.zeros((case.batch_size, 3, height, width), dtype=torch.uint8, device=bench.device))
        together = seconds(both)
        alone = seconds(lambda: [encoder(batch) for batch in batches])
    return {
        f"loader_encoder_{case.name}_images_per_second": bench.images / together,
        f"encoder_{case.name}_images_per_second": bench.images / alone,
    }


def whole_run(bench: Bench, case: Case) -> Figures:
    """Images per second of the record (from the first batch to the last file), and with building and scoring.

    ``share_…``: of a stage in that time; stages overlap where they run in parallel. Memory is torch's.
    """
    bench.run(*case.options, f"loader.limit={case.batch_size}")
    trial, _ = bench.run(*case.options, f"loader.limit={TRIAL * case.batch_size}")
    images = _affordable(bench, case, trial)
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    records: list[Record] = []
    took = seconds(lambda: records.append(bench.run(*case.options, f"loader.limit={images}")[0]))
    speed = records[0]["images_per_second"]
    figures: Figures = {
        f"run_{case.name}_images": images,
        f"run_{case.name}_images_per_second": speed,
        f"run_{case.name}_with_building_images_per_second": images / took,
    }
    if "pictures" in records[0]["seconds"]:  # drawn after the last image is written
        figures[f"run_{case.name}_pictures_seconds"] = records[0]["seconds"]["pictures"]
    shares = {stage: spent * speed / images for stage, spent in records[0]["seconds"].items() if stage != "total"}
    figures |= {f"run_{case.name}_share_{stage}": share for stage, share in shares.items()}
    if bench.device.type == "cuda":
        figures[f"run_{case.name}_peak_gpu_megabytes"] = torch.cuda.max_memory_allocated() / 1e6
    return figures


def _affordable(bench: Bench, case: Case, trial: Record) -> int:
    """Whole batches that take about ``bench.seconds``, at least four, at most all."""
    batches = int(trial["images_per_second"] * bench.seconds / case.batch_size)
    return min(bench.most, max(4, batches) * case.batch_size)


def traced_run(bench: Bench, case: Case) -> Figures:
    """Launches, synchronisations and the GPU's share of the time, of a run under the profiler."""
    if bench.device.type != "cuda":
        return {f"trace_{case.name}_skipped": "no CUDA device"}
    bench.run(*case.options, f"loader.limit={case.batch_size}")
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        record, _ = bench.run(*case.options, f"loader.limit={TRACED * case.batch_size}")
    path = bench.folder / f"trace_{case.name}.json"
    profiler.export_chrome_trace(str(path))
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    batches = -(-record["images"] // case.batch_size)
    return {f"trace_{case.name}_{key}": value for key, value in summary(events, batches).items()}

"""Golden record: what the command line computes on real images, to the bit; written or compared.

    python tests/golden.py --code CHECKOUT --work NEW_FOLDER --out tests/golden.json
    python tests/golden.py --code CHECKOUT --work NEW_FOLDER --compare tests/golden.json

Stages run in processes of their own, in float32, with one thread; only the command line, the
published files and ``load_dataset`` are used. Bits hold for one processor and one PyTorch.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

COUNTS = {"train": 400, "validation": 150, "test": 150}  # images
COMMON = """compute.device=cpu compute.precision=fp32 compute.threads=1 model.channels=[16,32,64]
data.image_size=32 data.batch_size=32 augment.crop_padding=2 initial_loss.n_seeds=5
overfit.size=16 overfit.epochs=12 overfit.lr=3e-3 controls.pairs=2 controls.steps=10
controls.validation_images=150 lr_finder.iterations=60 lr_finder.min_lr=1e-5 lr_finder.seeds=[0,1]
grid.lr=[1e-3,4e-3] grid.weight_decay=[1e-5] grid.dilation_stage3=[2] grid.epochs=3
refined_grid.epochs=3 refined_grid.lr_factors=[0.5,2.0] refined_grid.weight_decay_factors=[1.0]
finalists.count=2 finalists.seeds=2 train.blocks_per_stage=3 train.dilation_stage3=3 train.lr=2e-3
train.weight_decay=1e-5 train.max_epochs=8 recipe.name=best recipe.seeds=[]"""
TWO = "train.blocks_per_stage=2 train.dilation_stage3=2 train.max_epochs=3"
FULL = "data.image_size=64 augment.crop_padding=4"
# Section | root | stage | beside its facts: fields of the result and files | settings
SECTIONS = f"""data, cut | main | data
data, cut, dealt anew | main | data | | data.split={{lists}}
data, whole | whole | data | | data.source={{data}}
data, whole, spatial | whole | data | | data.source={{data}} data.split=spatial
explore_dataset, whole | whole | explore_dataset | | data.source={{data}}
find_overlaps, whole | whole | find_overlaps | overlaps.csv | data.source={{data}}
train, 2 blocks | whole | train | history.csv best.ckpt | {TWO} {FULL}
train, 2 blocks, killed | killed | train | history.csv best.ckpt | {TWO} {FULL}
train, 2 blocks, dealt anew | dealt | train | history.csv best.ckpt | {TWO} data.split={{lists}}
recipe | own | train_recipe | recipe.csv .stages/*/[!lp]*.ckpt | {FULL} data.train_limit=256
drawn | drawn | data | | data.source=synthetic data.synthetic_images=[60,20,20]
drawn again | redrawn | data | | data.source=synthetic data.synthetic_images=[60,20,20]"""
# Further stages of the root main, in order: each a section of its own name.
STAGES = """compute_baselines; check_initial_loss losses; overfit_small losses accuracies;
shuffled_labels pairs; check_training; lr_finder sweeps lr_finder.csv;
grid_search grid_search_results.csv; refined_grid_search refined_grid_search_results.csv;
compare_finalists finalists.csv; train history.csv best.ckpt;
evaluate confusion metrics.json predictions.csv; analyse_errors worst;
measure_robustness trials; explain_predictions right"""
# Fields that name a place or a time, and those that the second edition lets go.
LEFT_OUT = """seconds checkpoint checkpoint_sha256 fingerprint source_kind source_location notes
source_revision settings synthetic published_lists effects noise margin n_tied resets look_alikes
balance colours signal_low signal_high zeros dead best_val_low best_val_high tail tail_mean tail_sd
planned_epochs max_steps"""
ROWS, LETTERS = 24, 400  # longer lists are kept as a SHA-256
LOAD = """
import hashlib, json, sys
import numpy as np
from eurosat_lib.config import load_config
from eurosat_lib.data import load_dataset
pairs = [word.split("=", 1) for word in sys.argv[1:] if word.startswith("data.s")]
chosen = {key: json.loads(value) if value[0] == "[" else value for key, value in pairs}
data = load_dataset(load_config("configs/config.yaml", "full", chosen))
for name in ("train", "validation", "test"):
    split = getattr(data, name)
    parts = {"pixels": split.images.tobytes(), "labels": split.labels.astype(np.int64).tobytes()}
    parts |= {"names": "\\n".join(map(str, split.names)).encode()}
    digests = {part: hashlib.sha256(content).hexdigest() for part, content in parts.items()}
    print(json.dumps([name, {"shape": split.images.shape} | digests]))
"""


def python(options: argparse.Namespace, root: str, *words: str, kill_at: str = "") -> str:
    """Run Python in a project root, perhaps killed once a file is there; return what it prints."""
    folder = options.work / root
    shutil.copytree(options.code / "configs", folder / "configs", dirs_exist_ok=True)
    own = {"PYTHONPATH": str(options.code), "EUROSAT_SPLITS": str(options.splits)}
    own |= {"EUROSAT_CACHE": str(folder / "cache"), "HF_HOME": str(folder / "hf")}
    own |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    how = {"cwd": folder, "env": os.environ | own, "text": True, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, *words], **how, stderr=subprocess.PIPE)
    while kill_at and process.poll() is None:
        time.sleep(0.002)
        if list(folder.glob(kill_at)):
            process.kill()
    printed, errors = process.communicate()
    if process.returncode != (-signal.SIGKILL if kill_at else 0):
        raise RuntimeError(f"exit code {process.returncode}: {errors.strip()[-300:]}")
    return printed


def compute(options: argparse.Namespace, root: str, stage: str, more: str, own: str) -> dict:
    """Run a stage; return its facts, fields of its result and files that it publishes."""
    places = {"data": options.data, "lists": options.work / "lists"}
    pairs = [f"data.source={options.work / 'cut'}", *COMMON.split()]
    pairs += [word.format_map(places) for word in own.split()]  # of equal keys the last one holds
    if stage == "data":
        lines = python(options, root, "-c", LOAD, *pairs).splitlines()
        return dict(json.loads(line) for line in lines)
    command = ["-m", "eurosat_lib", stage, "--profile=full", *(f"--set={pair}" for pair in pairs)]
    if root == "killed":  # in its second epoch
        python(options, root, *command, kill_at="artifacts/.stages/*/last.ckpt")
    python(options, root, *command)
    artifacts = options.work / root / "artifacts"
    found = read(artifacts / f"results/{stage}.json")["result"]
    found |= {name: read(next(artifacts.glob(name))) for name in more.split() if "." in name}
    for row in found.get("recipe.csv", ()):  # mixed labels: summed in another order, perhaps
        row["train_loss"] = round(float(row["train_loss"]), 6)
    facts = {"facts": read(artifacts / "facts.json")[stage]}
    return kept(facts | {name: found[name] for name in more.split()})


def read(path: Path) -> Any:
    """Read JSON, the rows of a table, or the SHA-256 of a checkpoint's tensors, by their names."""
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text("utf-8").splitlines()))
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    content = b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))
    return hashlib.sha256(content).hexdigest()


def kept(value: Any) -> Any:
    """Drop what is left out, number short lists of records, hash long lists and columns."""
    if isinstance(value, dict):
        return {key: kept(one) for key, one in value.items() if key not in LEFT_OUT.split()}
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        if len(value) <= ROWS:
            return {str(number): kept(one) for number, one in enumerate(value, start=1)}
        columns = {key: [row[key] for row in value] for key in value[0]}
        return kept({"rows": len(value)} | columns)
    text = repr(value)
    return value if len(text) <= LETTERS else f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def cut(data: str, work: Path) -> None:
    """Write the first images of each split as parquet, and lists that deal them out anew."""
    names: list[str] = []
    os.makedirs(work / "cut/data")
    os.makedirs(work / "lists")
    for split, count in COUNTS.items():
        table = pq.read_table(min(Path(data, "data").glob(f"{split}-*"))).slice(0, count)
        pq.write_table(table, work / f"cut/data/{split}-00000-of-00001.parquet")
        names += [row["path"] for row in table["image"].to_pylist()]
    names.sort(key=lambda name: name[::-1])  # last digits first: all classes, all splits
    for split, count in zip(("train", "val", "test"), COUNTS.values(), strict=True):
        (work / f"lists/{split}.txt").write_text("\n".join(names[:count]), "utf-8")
        del names[:count]


def machine() -> dict:
    """Return what bits depend on: processor, version of PyTorch, threads."""
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in first)}
    own = {key: found.get(key) for key in ("vendor_id", "cpu family", "model", "stepping")}
    bf16 = "avx512_bf16" in found.get("flags", "").split()
    return own | {"avx512_bf16": bf16, "torch": torch.__version__, "threads": 1}


def record(options: argparse.Namespace) -> dict:
    """Compute every section; one that fails holds its error."""
    cut(options.data, options.work)
    where = python(options, "main", "-c", "import eurosat_lib; print(eurosat_lib.__file__)")
    if not Path(where.strip()).is_relative_to(options.code):
        raise SystemExit(f"error: {where.strip()} would run, not {options.code}")
    found = {"machine": machine()}
    lines = [line.split("|") for line in SECTIONS.splitlines()]
    for words in map(str.split, STAGES.split(";")):
        lines.append([words[0], "main", words[0], " ".join(words[1:])])
    for line in lines:
        name, root, stage, more, own = (*map(str.strip, line), "", "")[:5]
        start = time.perf_counter()
        try:
            found[name] = compute(options, root, stage, more, own)
        except Exception as error:  # the other sections are still worth knowing
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
        seconds, failure = time.perf_counter() - start, found[name].get("failed", "")
        print(f"{seconds:6.1f} s  {name}  {failure}", file=sys.stderr)
    once, again = found.pop("drawn"), found.pop("drawn again")  # other pixels are no fault
    return found | {"drawn": {"two loads agree": once == again and "failed" not in once}}


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries: names joined by slashes -> values."""
    if not isinstance(tree, dict):
        return {path: tree}
    parts = [leaves(value, f"{path}/{key}".lstrip("/")) for key, value in tree.items()]
    return {key: value for part in parts for key, value in part.items()}


def compare(before: dict, now: dict, wanted: tuple[str, ...] = ()) -> int:
    """Print what became of every key; return how many differ or miss without being wanted."""
    old, new, bad = leaves(before), leaves(now), 0
    for key, value in old.items():
        same = key in new and repr(new[key]) == repr(value)
        bad += not same and not key.startswith(wanted)
        word = "equal" if same else "differs" if key in new else "missing"
        print(word, key, "" if same else f"{value!r} -> {new.get(key)!r}", sep="\t")
    print(f"{len(old)} keys, {bad} differ or miss without being wanted")
    return bad


def main() -> int:
    """Write a record, or compare with one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    named = {name: os.environ.get(f"EUROSAT_{name.upper()}") for name in ("data", "splits")}
    for name, own in ({"code": None, "work": None} | named).items():
        place = {"type": lambda text: Path(text).resolve(), "default": own, "required": not own}
        parser.add_argument(f"--{name}", **place)
    parser.add_argument("--out", type=Path, help="record to write")
    parser.add_argument("--compare", type=Path, help="record to compare with")
    parser.add_argument("--wanted", nargs="*", default=[], help="beginnings of keys to excuse")
    options = parser.parse_args()
    found = record(options)
    failed = any("failed" in section for section in found.values())
    if options.out and not failed:
        options.out.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n", "utf-8")
    bad = compare(read(options.compare), found, tuple(options.wanted)) if options.compare else 0
    return int(bool(failed or bad))


if __name__ == "__main__":
    sys.exit(main())

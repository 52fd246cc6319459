"""A search for the depth: kerastl.search against plain KerasTuner with the whole network.

    python benchmarks/unfreezing.py
    python benchmarks/unfreezing.py --pictures 48 --depths heads 9 --rates 1e-3 --epochs 1

The same grid with the same recipe on both sides, each in a process of its own that begins
with empty folders. They take turns, a trial each, so that other work on the machine slows
both alike. Imports and reading the labels count on neither side; building the networks,
features, conversion, scoring and the choice do on ours, building and checkpoints on the
other. Prints a Markdown table of the whole, and one of the configurations.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from measuring import row, show
from scipy.stats import spearmanr
from unfreezing_runs import options, some

import kerastl
from kerastl.scoring.trial_scores import score_trials

TARGET = "\u2265 5"


def side(name, args, folder):
    """A side's process, which waits for its turns."""
    told = [f"--{k.replace('_', '-')}" for k in vars(args)]
    values = [v if isinstance(v, list) else [v] for v in vars(args).values()]
    words = [str(word) for pair in zip(told, values, strict=True) for word in (pair[0], *pair[1])]
    command = [sys.executable, str(Path(__file__).parent / "unfreezing_runs.py"), name, *words]
    return subprocess.Popen(
        [*command, "--folder", str(folder), "--turns"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "XDG_CACHE_HOME": str(folder / "user")},
    )  # fmt: skip


def told(process):
    """The next that a side says: it waits for a turn (None), or what it found."""
    for line in process.stdout:
        if line.strip() == "turn":
            return None
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"A side ended without a result, with exit code {process.wait()}.")


def in_turns(args, folder):
    """The seconds of each turn by side."""
    sides = {name: side(name, args, folder) for name in ("ours", "plain")}
    found = {}
    for process in sides.values():
        told(process)
    while len(found) < len(sides):
        for name, process in sides.items():
            if name not in found:
                process.stdin.write("\n")
                process.stdin.flush()
                result = told(process)
                if result is not None:
                    found[name] = result["seconds"]
    return found


def scored(data, path):
    """The score of each configuration, on the same draws of val for all."""
    with np.load(path, allow_pickle=False) as kept:
        names = dict.fromkeys(key.partition("|")[0] for key in kept.files)
        runs = {name: [{t.name: kept[f"{name}|{t.name}"] for t in data.tasks}] for name in names}
    return score_trials(data.tasks, data.split("val").certain().labels(), runs)


def ranks(ours, plain):
    """Spearman's correlation of the configurations' scores, and its 95 % interval over pictures."""
    names = list(plain)
    value = spearmanr([ours[n].value for n in names], [plain[n].value for n in names])[0]
    pairs = zip(
        *(np.stack([s[n].drawn for n in names], axis=1) for s in (ours, plain)), strict=True
    )
    drawn = [spearmanr(a, b)[0] for a, b in pairs if np.ptp(a) > 0 and np.ptp(b) > 0] or [np.nan]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def swapped(ours, plain):
    """Pairs of configurations whose order is real on both sides, and another on each."""
    apart = [[s[a].to(s[b]) for s in (ours, plain)] for a, b in combinations(plain, 2)]
    return sum(one.real and two.real and one.value * two.value < 0 for one, two in apart)


def interval(score):
    low, high = score.limits
    return f"{score.value:.3f} [{low:.3f}, {high:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options(parser)
    args = parser.parse_args()

    data = some(kerastl.read_solar_cells(), args.pictures)
    with tempfile.TemporaryDirectory() as folder:
        seconds = in_turns(args, Path(folder))
        ours, plain = (scored(data, Path(folder) / f"{name}.npz") for name in ("ours", "plain"))
    mine, theirs = (sum(seconds[name]) for name in ("ours", "plain"))
    each = [dict(zip(s, seconds[n], strict=False)) for s, n in ((plain, "plain"), (ours, "ours"))]
    n, pairs = next(iter(plain.values())).n, len(plain) * (len(plain) - 1) // 2
    what = f"a search of {len(plain)} trials, against plain KerasTuner"
    show(
        [row(what, f"{mine:.0f} s", f"{theirs:.0f} s", theirs / mine, TARGET)],
        f"{args.backbone}, {args.pictures} solar cells at 224 px, batch 32; {args.head_epochs}",
        f"epochs of the heads and {args.epochs} of the tail, as many of the heads alone. The score",
        f"is the mean of AUC of defect and accuracy of type on {n} val pictures. Spearman's",
        f"correlation between the sides: {ranks(ours, plain)}; {swapped(ours, plain)} of {pairs}",
        "pairs of configurations are in another order outside the noise of both. Seconds of the",
        "first trial hold the features of all; those after the last trial only count in the sum.",
        "",
        "| trains, rate | KerasTuner | seconds | kerastl | seconds |",
        "|---|---|---|---|---|",
        *(f"| {name} | {interval(plain[name])} | {each[0][name]:.0f} "
          f"| {interval(ours[name])} | {each[1][name]:.0f} |" for name in ours),
    )  # fmt: skip


if __name__ == "__main__":
    main()

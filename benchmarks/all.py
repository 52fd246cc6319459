"""All benchmarks, each in a fresh process, and the section of the README that tells of them.

    python benchmarks/all.py
    python benchmarks/all.py --small            # seconds: whether they run, not how fast
    python benchmarks/all.py --write            # into benchmarks/README.md
    python benchmarks/all.py --search           # the search only, which takes half an hour

Rows of the one form make one table, in the order below; what has a table of another
form follows in its own words. Times on a shared machine are noise; ratios less so.
"""

import argparse
import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measuring import HEADER

from kerastl.data.batches import count_cores

HERE = Path(__file__).parent
MARKERS = "<!-- {}: begin -->", "<!-- {}: end -->"
PACKAGES = ("keras", "tensorflow", "openvino", "pillow", "numpy")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")

# Each script, and the arguments under which it takes seconds.
SCRIPTS = {
    "frozen.py": "--pictures 48 --epochs 2 --plain-epochs 2 --repeats 1",
    "tails.py": "--pictures 32 --layers 30 --epochs 1",
    "large_pictures.py": "--pictures 2 --rounds 1 --epochs 2",
    "imports.py": "--rounds 1",
    "memory.py": "--pictures 300",
    "engines.py": "--batch 4 --rounds 1",
}
SEARCH = {
    "unfreezing.py": "--pictures 64 --depths heads 9 --rates 1e-3 --head-epochs 1 --epochs 1",
}


def told(script, few):
    """What a script prints."""
    arguments = few.split()
    print(f"{script} {' '.join(arguments)}", file=sys.stderr)
    command = [sys.executable, str(HERE / script), *arguments]
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def assembled(texts):
    """One table of all rows of the one form, then the notes, then what has other tables."""
    rows, notes, others = [], [], []
    for text in texts:
        body = text.strip()
        if not body.startswith(HEADER):
            others.append(body)
            continue
        table, _, note = body.removeprefix(HEADER).strip().partition("\n\n")
        rows += table.splitlines()
        notes.append(note.strip())
    return "\n\n".join(["\n".join([HEADER, *rows]), *notes, *others])


def machine():
    """The processor, the cores that may be used, and the instruction sets that matter."""
    name, flags = platform.processor() or platform.machine(), ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        name, flags = known.get("model name", name), known.get("flags", "")
    sets = [i for i in INSTRUCTIONS if i in flags.split()]
    return f"{name}, {count_cores()} cores, {', '.join(sets) or 'no known instruction sets'}"


def installed(package):
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def conditions():
    """Where and when: the load says how quiet the machine was as the run began."""
    load = f"; load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = ", ".join([f"Python {platform.python_version()}", *map(installed, PACKAGES)])
    return f"{date.today()}; {machine()}{load}; {versions}."


def written(path, name, section):
    """Put a section between its markers in a file, and leave all else as it is."""
    first, last = (marker.format(name) for marker in MARKERS)
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise SystemExit(f"{path} has no {first} followed by {last}.")
    path.write_text(f"{before}{first}\n{section}\n{last}{after}", "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="see whether they run")
    parser.add_argument("--search", action="store_true", help="measure the search, and only it")
    parser.add_argument("--write", nargs="?", type=Path, const=HERE / "README.md", metavar="FILE",
                        help="put the table between the markers of this file")  # fmt: skip
    args = parser.parse_args()

    where, scripts = conditions(), SEARCH if args.search else SCRIPTS
    texts = [told(script, few if args.small else "") for script, few in scripts.items()]
    section = f"{where}\n\n{assembled(texts)}"
    print(section)
    if args.write:
        written(args.write, "search" if args.search else "measured", section)


if __name__ == "__main__":
    main()

"""All benchmarks, each in a fresh process, and the section of the README that tells of them.

    python benchmarks/all.py
    python benchmarks/all.py --small            # seconds: whether they run, not how fast
    python benchmarks/all.py --write            # into benchmarks/README.md

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

from kerastl.batches import count_cores

HERE = Path(__file__).parent
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PACKAGES = ("keras", "tensorflow", "openvino", "pillow", "numpy")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")

# Each script, and the arguments under which it takes seconds.
SCRIPTS = {
    "frozen.py": "--pictures 48 --epochs 2 --plain-epochs 2",
    "tails.py": "--pictures 32 --layers 30 --epochs 1",
    "large_pictures.py": "--pictures 2 --rounds 1 --epochs 2",
    "imports.py": "--rounds 1",
    "memory.py": "--pictures 300",
    "engines.py": "--batch 4 --rounds 1",
}


def told(script, small):
    """What a script prints."""
    arguments = SCRIPTS[script].split() if small else []
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


def written(path, section):
    """Put the section between the markers of a file, and leave all else as it is."""
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no {BEGIN} followed by {END}.")
    path.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}", "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="see whether they run")
    parser.add_argument("--write", nargs="?", type=Path, const=HERE / "README.md", metavar="FILE",
                        help="put the table between the markers of this file")  # fmt: skip
    args = parser.parse_args()

    where = conditions()
    section = f"{where}\n\n{assembled(told(script, args.small) for script in SCRIPTS)}"
    print(section)
    if args.write:
        written(args.write, section)


if __name__ == "__main__":
    main()

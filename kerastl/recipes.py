"""The shelf of recipes: scripts that are copied and changed, not imported."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

from kerastl.console import say
from kerastl.errors import InputError, nearest
from kerastl.files import replacing


def folder() -> Path:
    """Where the recipes lie: in the source tree, or where the package installed them.

    Raises:
        InputError: Where there are none.
    """
    places = [
        Path(__file__).parent.parent / "recipes",
        Path(sysconfig.get_path("data")) / "share" / "kerastl" / "recipes",
    ]
    for place in places:
        if (place / "quickstart.py").is_file():
            return place
    raise InputError("The recipes are not installed. Expected them in one of:", map(str, places))


def shelf() -> dict[str, Path]:
    """Each recipe's name and file."""
    return {path.stem: path for path in sorted(folder().glob("*.py"))}


def about(path: Path) -> str:
    """A recipe's first line, read without running it."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def show(name: str | None, out: Path | None) -> None:
    """List the recipes, print one, or copy it to a file.

    Raises:
        InputError: For a name that is none, or a file that is there already.
    """
    there = shelf()
    if name is None:
        wide = max(map(len, there))
        for stem, path in there.items():
            say(f"{stem:<{wide}}  {about(path)}")
        say("\nkerastl recipes NAME prints one; --out FILE copies it.")
        return
    if name not in there:
        names = ", ".join(there)
        raise InputError(f"There is no recipe {name!r}.{nearest(name, there)} There are: {names}.")
    text = there[name].read_text("utf-8")
    if out is None:
        say(text)
        return
    if out.exists():
        raise InputError(f"{out} is there already. Give another --out.")
    with replacing(out) as unfinished:
        unfinished.write_text(text, "utf-8")
    say(f"Copied to {out}. Run it: python {out} --help")

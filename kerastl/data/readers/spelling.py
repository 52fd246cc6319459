"""One spelling for what means one thing: the words, numbers, lists and tags of a label column.

A column's cells are rewritten into the words that `cells` reads. What has one meaning is taken as
meant, and said; for what has two there is one note, with the option that decides.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kerastl.data.readers.cells import DOUBT, NONE, Words, read_label, read_tags, share
from kerastl.data.tasks import Task
from kerastl.errors import shorten

NAMED = 10
"""As many columns or words does a note name."""

_UNSEEN = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)")
_LIST = re.compile(r"\[.*\]", re.S)
_UNKNOWN = frozenset(["na", "n/a", "#n/a", "<na>", "null", "nan", "nat", "unknown"])
_MAYBE_UNKNOWN = frozenset({"none", "missing", "unlabelled", "unlabeled"})
_MAYBE_UNSURE = frozenset(
    ["maybe", "unsure", "uncertain", "unclear", "doubtful", "equivocal", "ambiguous"]
)
_NO_FINDING = frozenset({"no finding", "no findings"})
_BETWEEN_TAGS = ("|", ";", ",", " ")


@dataclass
class Findings:
    """Findings by what they say, so that one line names all the columns of one finding.

    Example:
        >>> findings = Findings()
        >>> for column in ("edema", "mass"):
        ...     findings.add("-1 was read as unknown", column)
        >>> findings.lines()
        ['edema, mass: -1 was read as unknown']
    """

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, saying: str, subject: str) -> None:
        """Put a subject to those of a finding."""
        self.found.setdefault(saying, []).append(subject)

    def take(self, other: Findings) -> None:
        """Add another's findings."""
        for saying, subjects in other.found.items():
            for subject in subjects:
                self.add(saying, subject)

    def lines(self) -> list[str]:
        """A line a finding."""
        return [f"{', '.join(shorten(of, NAMED))}: {what}" for what, of in self.found.items()]


@dataclass(frozen=True)
class Spelt:
    """A column's cells in one spelling, and how its tags were written, if that was found."""

    cells: list[str]
    written: str = ""


def spell(column: str, cells: Iterable[str], words: Words, findings: Findings) -> Spelt:
    """Rewrite a column of labels so that each meaning has one word.

    Args:
        column: Its name, for the findings.
        cells: Its cells.
        words: The words that are no labels; they stay as they are.
        findings: Where findings go.

    Example:
        >>> findings = Findings()
        >>> spell("kind", ["disc", "Disc", "disc", "bars", "bars?", "N/A"], Words(), findings).cells
        ['disc', 'disc', 'disc', 'bars', '?', '']
        >>> spell("found", ["Mass|Node", "Mass", "Node"], Words(), findings).cells
        ['Mass;Node', 'Mass', 'Node']
    """
    cells = list(cells)
    times = Counter(cells)
    now = {cell: _plain(cell) for cell in times}

    def apply(changed: Mapping[str, str]) -> None:
        now.update({cell: changed[word] for cell, word in now.items() if word in changed})

    written, changed = _tags(column, _counts(times, now, words), words, findings)
    apply(changed)
    for step in (_numbers, _cases, _doubts, _unknowns):
        apply(step(column, _counts(times, now, words), words, findings))
    return Spelt([now[cell] for cell in cells], written)


def spell_as(
    task: Task, column: str, cells: Iterable[str], words: Words, findings: Findings
) -> list[str]:
    """Rewrite a column into the words of a task whose classes are known.

    What is a word of the task, or of `words`, stays as it is. What can only mean one of its
    classes, in another case, as another number of the same value, in a list, or with another
    mark between tags, is rewritten; and what is always unknown is blank.

    Args:
        task: The task.
        column: As in `spell`.
        cells: Its cells.
        words: The words that are no labels.
        findings: Where findings go.

    Example:
        >>> task = Task("kind", ["bars", "disc"])
        >>> spell_as(task, "kind", ["disc", "BARS", "disc?", "N/A", "rows"], Words(), Findings())
        ['disc', 'bars', '?', '', 'rows']
        >>> found = Task("found", ["Mass", "Node"], kind="multilabel")
        >>> spell_as(found, "found", ["Mass|node?", "No finding"], Words(), Findings())
        ['Mass;Node?', 'none']
    """
    cells = list(cells)
    tagged = task.kind == "multilabel" and column == task.name
    changed = {}
    for cell in dict.fromkeys(cells):
        fine = read_tags(task, cell, words) if tagged else read_label(task, cell, words)
        if fine is None or isinstance(fine, str):
            changed[cell] = _as_tags(task, cell, words) if tagged else _as_class(task, cell)
    changed = {cell: word for cell, word in changed.items() if word is not None}
    if unknown := [cell for cell, word in changed.items() if word == ""]:
        findings.add("read as unknown", _listed(column, unknown))
    if joined := [f"{c} as {w}" for c, w in changed.items() if w and folded(c) != folded(w)]:
        findings.add("read as the task's own words", f"{column} ({', '.join(shorten(joined, 3))})")
    return [changed.get(cell, cell) for cell in cells]


def _as_class(task: Task, cell: str) -> str | None:
    """The word for a cell that is no class of the task as it stands; None where it means none."""
    word = _plain(cell)
    classes = () if task.kind == "multilabel" else task.classes
    yes_no = task.kind != "multiclass"  # where a word can mean nothing else
    if folded(word) in (_UNKNOWN | _MAYBE_UNKNOWN if yes_no else _UNKNOWN):
        return ""
    known = [c for c in classes if folded(c) == folded(word)]
    if not known and _NUMBER.fullmatch(word):
        point = word.replace(",", ".")
        if yes_no and share(point) is not None:
            return point
        known = [c for c in classes if _NUMBER.fullmatch(c) and float(c) == float(point)]
    if len(known) == 1:
        return known[0]
    if word.endswith(DOUBT):
        return DOUBT if _as_class(task, word[:-1].rstrip()) else None
    return word if word != cell and share(word) is not None else None


def _as_tags(task: Task, cell: str, words: Words) -> str | None:
    """Tags of a task from a cell that has them in a list, or another mark between them."""
    word = _plain(cell)
    if folded(word) in _UNKNOWN | _NO_FINDING:
        return NONE if folded(word) in _NO_FINDING else ""
    items = _items(word) if _LIST.fullmatch(word) else None
    if items is not None and not items:
        return NONE
    known = {folded(c): c for c in task.classes} | {c: c for c in task.classes}
    ways = [items] if items else [word.split(mark) for mark in (words.tags, *_BETWEEN_TAGS)]
    for parts in ways:
        tags = [part.strip() for part in parts if part.strip()]
        names = [tag.removesuffix(DOUBT) for tag in tags]
        told = [known.get(name, known.get(folded(name))) for name in names]
        if tags and None not in told:
            doubts = [tag[len(name) :] for tag, name in zip(tags, names, strict=True)]
            return words.tags.join(map("".join, zip(told, doubts, strict=True)))
    return None


def _counts(times: Mapping[str, int], now: Mapping[str, str], words: Words) -> Counter:
    """How often each word is there that may be a label."""
    found: Counter = Counter()
    for cell, n in times.items():
        if words.code(now[cell]) is None:
            found[now[cell]] += n
    return found


def _plain(cell: str) -> str:
    """A cell without what cannot be seen, and with single blanks."""
    return " ".join(cell.translate(_UNSEEN).split())


def _tags(
    column: str, counts: Counter, words: Words, findings: Findings
) -> tuple[str, dict[str, str]]:
    """How tags are written other than with ";", which is always read, and the cells with it."""
    if counts and all(_LIST.fullmatch(word) for word in counts):
        return _lists(counts, words)
    numbers = all(_NUMBER.fullmatch(w) for w in counts)
    if numbers or words.tags != Words().tags or any(words.tags in w for w in counts):
        return "", {}
    for mark in _BETWEEN_TAGS:
        parts = {w: [p.strip() for p in w.split(mark) if p.strip()] for w in counts}
        several = {w: p for w, p in parts.items() if len(p) > 1}
        if not several:
            continue
        repeated, all_repeat = _repeated(parts)
        enough = _enough_tags(parts, mark)
        if all_repeat and enough:
            return _called(mark), {w: words.tags.join(p) for w, p in several.items()}
        likely = enough and all(repeated & set(p) for p in several.values())
        if mark == "|" or (likely and len(counts) > 1):
            findings.add(
                f"{_called(mark)} stands in words that are classes as a whole; --tags {mark!r} "
                "(tags=) reads them as tags",
                f"{column} ({next(iter(several))!r})",
            )
            break
    return "", {}


def _lists(counts: Counter, words: Words) -> tuple[str, dict[str, str]]:
    """Cells that are all lists, as "['Comedy', 'Drama']"."""
    found = {word: _items(word) for word in counts}
    if any(items is None or any(words.tags in i for i in items) for items in found.values()):
        return "", {}
    return "lists", {word: words.tags.join(items) or NONE for word, items in found.items()}


def _items(word: str) -> list[str] | None:
    try:
        items = ast.literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        items = [item.strip(" '\"") for item in word[1:-1].split(",")]
    items = [items] if isinstance(items, str) else items
    plain = all(isinstance(item, (str, int, float)) for item in items)
    return [str(item).strip() for item in items if str(item).strip()] if plain else None


def _numbers(column: str, counts: Counter, words: Words, findings: Findings) -> dict[str, str]:
    """Decimal commas as points, and one word for 1 and 1.0; 007 stays a word of its own."""
    numeric = [w for w in counts if w.casefold() not in _UNKNOWN]
    if not all(_NUMBER.fullmatch(w) for w in numeric):
        return {}
    commas = [w for w in numeric if "," in w]
    if commas and (words.tags == "," or all(re.fullmatch(r".*,\d{3}", w) for w in commas)):
        return {}
    if commas:
        findings.add("decimal commas were read as points", column)
    pointed = {w: w.replace(",", ".") for w in numeric}
    same: dict[float, list[str]] = {}
    for word in dict.fromkeys(pointed.values()):
        same.setdefault(float(word), []).append(word)
    one = {}
    for spellings in same.values():
        zeros = [w for w in spellings if re.match(r"[+-]?0\d", w)]
        if zeros and len(spellings) > 1:
            listed = ", ".join(shorten(spellings, NAMED))
            saying = "different classes, though one number; write them alike to have one class"
            findings.add(saying, f"{column} ({listed})")
        others = sorted((w for w in spellings if w not in zeros), key=len)
        one |= dict.fromkeys(others[1:], others[0] if others else "")
    return {w: one.get(p, p) for w, p in pointed.items() if one.get(p, p) != w}


def _repeated(parts: Mapping[str, list[str]]) -> tuple[set[str], bool]:
    """The parts that stand alone or in several words, and whether these are all of them."""
    within = Counter(folded(p) for of in parts.values() for p in set(of))
    alone = {folded(of[0]) for of in parts.values() if len(of) == 1}
    fine = {folded(p.rstrip(DOUBT)) for p, n in within.items() if n > 1} | alone
    every = {p.rstrip(DOUBT) for of in parts.values() for p in of}
    return {p for p in every if folded(p) in fine}, all(folded(p) in fine for p in every)


def _enough_tags(parts: Mapping[str, list[str]], mark: str) -> bool:
    """Whether blanks, of which names have many, stand between more and fewer tags."""
    counts = {len(p) for p in parts.values()}
    return mark != " " or (len(counts) > 1 and max(counts) > 2)


def _called(mark: str) -> str:
    return "a blank" if mark == " " else repr(mark)


def _cases(column: str, counts: Counter, words: Words, findings: Findings) -> dict[str, str]:
    """One word for those that differ in case, also for tags."""
    if all(share(word) is not None for word in counts):
        return {}
    if not any(words.tags in word for word in counts):
        return one_spelling(counts, column, findings)
    tags: Counter = Counter()
    split = {w: [t.strip() for t in w.split(words.tags)] for w in counts}
    for word, of in split.items():
        tags.update(dict.fromkeys((t.removesuffix(DOUBT) for t in of), counts[word]))
    one = one_spelling(tags, column, findings)
    one |= {t: NONE for t in tags if t.casefold() in _NO_FINDING}
    if any(t.casefold() in _NO_FINDING for t in tags):
        findings.add("'No Finding' was read as: looked at, none of the tags", column)
    return {w: words.tags.join(_respelt(t, one) for t in of) for w, of in split.items()}


def _respelt(tag: str, one: Mapping[str, str]) -> str:
    name = tag.removesuffix(DOUBT)
    return one.get(name, name) + tag[len(name) :]


def one_spelling(counts: Mapping[str, int], column: str, findings: Findings) -> dict[str, str]:
    """The most frequent spelling for words that differ in case and blanks only.

    Single letters are not joined: "a" and "A" are different letters.

    Args:
        counts: How often each word is there.
        column: What to call their place in the finding.
        findings: Where a finding goes.

    Returns:
        By word another spelling; words that stay are not in it.

    Example:
        >>> findings = Findings()
        >>> one_spelling({"disc": 3, "Disc": 1, "bars": 2}, "kind", findings), findings.lines()
        ({'Disc': 'disc'}, ['kind (Disc as disc): spellings of one class were joined'])
    """
    alike: dict[str, list[str]] = {}
    for word in counts:
        alike.setdefault(folded(word), []).append(word)
    joined: dict[str, str] = {}
    for key, spellings in alike.items():
        if len(spellings) > 1 and len(key) > 1:
            best = max(spellings, key=lambda w: (counts[w], w.islower(), w))
            joined |= {w: best for w in sorted(spellings) if w != best}
    letters = [", ".join(sorted(w)) for k, w in alike.items() if len(w) > 1 and len(k) == 1]
    if joined:
        listed = ", ".join(shorten([f"{w} as {best}" for w, best in joined.items()], NAMED))
        findings.add("spellings of one class were joined", f"{column} ({listed})")
    if letters:
        listed = "; ".join(shorten(letters, NAMED))
        findings.add("letters in two cases are different classes", f"{column} ({listed})")
    return joined


def folded(word: str) -> str:
    """A word without what cannot be seen, blanks and case: what tells it from others."""
    return _plain(word).casefold()


def _doubts(column: str, counts: Counter, words: Words, findings: Findings) -> dict[str, str]:
    """Unsure for "disc?", where "disc" is a word of the column."""
    if DOUBT not in words.unsure or any(words.tags in word for word in counts):
        return {}
    doubted = {w: w.rstrip(DOUBT).rstrip() for w in counts if w.endswith(DOUBT)}
    there = {folded(w) for w in counts if w not in doubted}
    known = [w for w, of in doubted.items() if folded(of) in there]
    others = sorted(set(doubted) - set(known))
    if known:
        findings.add(f"read as unsure, {DOUBT!r}", _listed(column, known))
    if others:
        findings.add(
            f"a class as it is: its word never stands without the {DOUBT!r}; --unsure WORD "
            "(unsure=) has it as unsure",
            _listed(column, others),
        )
    doubtful = [w for w in counts if folded(w) in _MAYBE_UNSURE]
    if doubtful:
        saying = "read as a class; --unsure WORD (unsure=) where the annotator was unsure"
        findings.add(saying, _listed(column, doubtful))
    return dict.fromkeys(known, DOUBT)


def _unknowns(column: str, counts: Counter, words: Words, findings: Findings) -> dict[str, str]:
    """Blank for "N/A" and its like, where there are two classes without it."""
    odd = [w for w in counts if w.casefold() in _UNKNOWN and not _is_code(w, counts)]
    maybe = [w for w in counts if w.casefold() in _MAYBE_UNKNOWN]
    others = [w for w in counts if w not in odd and w not in maybe]
    tagged = any(words.tags in word for word in counts)
    yes_no = bool(others) and all(share(word) is not None for word in others)
    if yes_no:
        odd, maybe = odd + maybe, []
    if len(others) + len(maybe) < 2 and not tagged and not yes_no:
        return {}
    if odd:
        findings.add("read as unknown; rename what is a class", _listed(column, odd))
    if maybe and not tagged:
        saying = "read as a class; --unknown WORD (unknown=) where nobody gave a label"
        findings.add(saying, _listed(column, maybe))
    return dict.fromkeys(odd, "")


def _is_code(word: str, counts: Iterable[str]) -> bool:
    """Whether "NA" stands among codes in two or three capitals, as of continents or elements."""
    others = [w for w in counts if w != word]
    return word == "NA" and all(re.fullmatch(r"[A-Z]{1,3}", w) for w in others)


def _listed(column: str, found: Iterable[str]) -> str:
    return f"{column} ({', '.join(shorten([repr(w) for w in found], NAMED))})"

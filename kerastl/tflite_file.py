"""What is in a `.tflite` file: its operators, and how many of them XNNPACK takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from kerastl.errors import InputError
from kerastl.litert import LiteRTModel
from kerastl.streams import quiet

FLEX = "Flex"
DELEGATE = "DELEGATE"
NEWER = "operator number "
"""How an operator is called that has no name here yet."""


@dataclass(frozen=True)
class TFLiteFacts:
    """What a file is made of.

    Attributes:
        operators: How often each built-in operator is used, by name, in the main graph
            and in the bodies of its loops and branches.
        versions: The newest version of each that is asked for: an old runtime may
            refuse it.
        flex: Operators of TensorFlow, which no phone's runtime has.
        custom: Other operators that are not built in.
        partitions: Runs of operators that the interpreter hands to XNNPACK; every gap
            between them costs time. None where it would not tell, as of a file with
            loops or branches, whose bodies it keeps to itself.
        delegated: Share of the operators that XNNPACK takes; None likewise.
    """

    operators: dict[str, int]
    versions: dict[str, int]
    flex: tuple[str, ...]
    custom: tuple[str, ...]
    partitions: int | None
    delegated: float | None


def read_facts(path: str | Path) -> TFLiteFacts:
    """Read what a file is made of, from the file and from the interpreter.

    Args:
        path: The `.tflite` file.

    Returns:
        The `TFLiteFacts`.

    Raises:
        InputError: For a file that is damaged, and for one with operators newer than
            the interpreter.

    Example:
        >>> import keras, tempfile
        >>> from kerastl.conversion import to_float32
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> path = Path(tempfile.mkdtemp(), "model.tflite")
        >>> n = path.write_bytes(to_float32(classifier(own, ["cat", "dog"], image_size=8)))
        >>> facts = read_facts(path)
        >>> facts.operators["CONV_2D"], facts.flex, facts.partitions
        (1, (), 1)
    """
    path = Path(path)
    graphs = _graphs(path)
    used = [operator for graph in graphs for operator in graph]
    _check_known(path, used)
    others = {one.name for one in used if one.version is None}
    flex = {name for name in others if name.startswith(FLEX)}
    untold = others or any(graphs[1:])
    partitions, delegated = (None, None) if untold else _delegation(path)
    return TFLiteFacts(
        dict(Counter(one.name for one in used if one.version is not None).most_common()),
        _newest(used),
        tuple(sorted(flex)),
        tuple(sorted(others - flex)),
        partitions,
        delegated,
    )


class _Operator(NamedTuple):
    """An operator's name and version; no version where it is not built in."""

    name: str
    version: int | None


def _graphs(path: Path) -> list[list[_Operator]]:
    """The operators of the main graph, then those of each body."""
    try:
        return _read(path.read_bytes())
    except OSError as error:
        raise InputError(f"Expected a TFLite model file. Received: {path}, {error}.") from error
    except Exception as error:  # flatbuffers raises nearly anything on a damaged file
        raise InputError(
            f"Expected a whole TFLite model. Received: {path}, which cannot be read "
            f"({type(error).__name__}). Export or copy the file again."
        ) from error


def _read(data: bytes) -> list[list[_Operator]]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    found = []
    for code in model.operatorCodes or ():
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        if number == schema.BuiltinOperator.CUSTOM:
            found.append(_Operator(code.customCode.decode("utf-8", "replace"), None))
        else:
            found.append(_Operator(names.get(number, f"{NEWER}{number}"), code.version))
    return [[found[o.opcodeIndex] for o in graph.operators or ()] for graph in model.subgraphs]


def _check_known(path: Path, used: Sequence[_Operator]) -> None:
    newer = sorted({one.name for one in used if one.name.startswith(NEWER)})
    if newer:
        raise InputError(
            f"Expected a TFLite model of operators that ai-edge-litert {version('ai-edge-litert')} "
            f"knows. Received: {path}, with {', '.join(newer)}, of a newer one. "
            "Run: pip install --upgrade ai-edge-litert."
        )


def _newest(used: Sequence[_Operator]) -> dict[str, int]:
    """The newest version of each built-in operator."""
    found: dict[str, int] = {}
    for name, number in used:
        if number is not None:
            found[name] = max(found.get(name, 0), number)
    return found


def _delegation(path: Path) -> tuple[int | None, float | None]:
    """Partitions and the share taken: operators left to run, with the delegate and without."""
    model = LiteRTModel(path)
    details: Any = getattr(model._interpreter, "_get_ops_details", None)
    if details is None:
        return None, None
    with quiet():
        nodes = details()
    parts = [node for node in nodes if node["op_name"] == DELEGATE]
    own = nodes[: len(nodes) - len(parts)]
    return len(parts), (len(_taken(own, parts)) / len(own) if own else None)


def _taken(own: list[dict[str, Any]], parts: list[dict[str, Any]]) -> set[int]:
    """The operators inside the parts: those between a part's inputs and its outputs."""
    maker = {int(tensor): node for node in own for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in parts:
        ends, ahead = set(map(int, part["inputs"])), list(map(int, part["outputs"]))
        while ahead:
            node = maker.get(ahead.pop())
            if node is not None and node["index"] not in taken:
                taken.add(node["index"])
                ahead += [int(t) for t in node["inputs"] if int(t) not in ends]
    return taken

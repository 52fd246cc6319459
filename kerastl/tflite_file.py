"""What is in a `.tflite` file: its operators, and how many of them XNNPACK takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerastl.errors import InputError
from kerastl.litert import LiteRTModel
from kerastl.streams import quiet

FLEX = "Flex"
DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class TFLiteFacts:
    """What a file is made of.

    Attributes:
        operators: How often each built-in operator is used, by name.
        versions: The newest version of each that is asked for: an old runtime may
            refuse it.
        flex: Operators of TensorFlow, which no phone's runtime has.
        custom: Other operators that are not built in.
        partitions: Runs of operators that the interpreter hands to XNNPACK; every gap
            between them costs time. None where it would not tell.
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

    Raises:
        InputError: For a file that is damaged.
    """
    path = Path(path)
    try:
        used, versions, others = _operators(path.read_bytes())
    except OSError as error:
        raise InputError(f"Expected a TFLite model file. Received: {path}, {error}.") from error
    except Exception as error:  # flatbuffers raises nearly anything on a damaged file
        raise InputError(
            f"Expected a whole TFLite model. Received: {path}, which cannot be read "
            f"({type(error).__name__}). Export or copy the file again."
        ) from error
    flex = tuple(sorted(name for name in others if name.startswith(FLEX)))
    custom = tuple(sorted(set(others) - set(flex)))
    partitions, delegated = (None, None) if flex or custom else _delegation(path)
    return TFLiteFacts(used, versions, flex, custom, partitions, delegated)


def _operators(data: bytes) -> tuple[dict[str, int], dict[str, int], list[str]]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    used, versions, others = Counter(), {}, []
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            code = model.operatorCodes[operator.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            if number == schema.BuiltinOperator.CUSTOM:
                others.append(code.customCode.decode("utf-8", "replace"))
                continue
            used[names[number]] += 1
            versions[names[number]] = max(versions.get(names[number], 0), code.version)
    return dict(used.most_common()), versions, sorted(set(others))


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

"""JSON as the standard has it, without NaN; the form of what was read; errors name its place."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

FaultOf = Callable[[Any], str | None]  # what is wrong with a value, such as ``.box[1] is "x", not a number``

_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
_LARGEST = sys.float_info.max
_LONGEST = 40  # characters of a wrong value that an error shows


def to_json(content: Any, where: object, **options: Any) -> str:
    """JSON without NaN and Infinity; ``options`` are those of ``json.dumps``.

    Raises:
        ValueError: for a number that is not finite, with ``where`` it was to be written and its key.
    """
    try:
        return json.dumps(content, allow_nan=False, **options)
    except ValueError as error:
        wrong = next(_not_finite(content, ""), None)
        if wrong is None:
            raise
        raise ValueError(f"{where}: {wrong}, which is no number of JSON: nothing was written") from error


def _not_finite(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, float) and not math.isfinite(node):
        yield f"{key or 'the content'} is {node}"
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list | tuple) else ()
    for name, child in children:
        yield from _not_finite(child, f"{key}.{name}" if key else str(name))


class NoJSONError(ValueError):
    """A text is no JSON; the message names its place and the line."""


def parsed(text: str | bytes, where: object, line: int = 1, **options: Any) -> Any:
    """Reads JSON in UTF-8, NaN and Infinity included; ``line`` is that of the text's beginning.

    Raises:
        NoJSONError: for anything else, and for what is nested too deeply or has integers too long to be read.
    """
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text, **options)
    except json.JSONDecodeError as error:
        place = f"{where}, line {line + error.lineno - 1}, column {error.colno}"
        raise NoJSONError(f"{place}: no JSON ({error.msg})") from error
    except RecursionError as error:
        raise NoJSONError(f"{where}, line {line}: no JSON that can be read (nested too deeply)") from error
    except ValueError as error:  # bytes that are not UTF-8, an integer of more than 4300 digits
        raise NoJSONError(f"{where}, line {line}: no JSON that can be read ({error})") from error


def from_json(text: str | bytes, where: object, line: int = 1) -> Any:
    """Reads JSON as the standard has it; ``line`` is that of the text's beginning.

    Raises:
        NoJSONError: as :func:`parsed`.
        ValueError: for NaN and Infinity, which other readers refuse, with ``where`` they were found and their line.
    """
    if not _may_hold_constants(text):
        return parsed(text, where, line)
    constants: list[str] = []
    content = parsed(text, where, line, parse_constant=constants.append)
    if constants:
        whole = text.decode() if isinstance(text, bytes) else text
        found = next(match for match in _STRING_OR_CONSTANT.finditer(whole) if match[1])
        number = line + whole.count("\n", 0, found.start())
        raise ValueError(f"{where}, line {number}: {found[1]} is no number of JSON: write the file again")
    return content


def _may_hold_constants(text: str | bytes) -> bool:
    if isinstance(text, str):
        return "NaN" in text or "Infinity" in text
    return b"NaN" in text or b"Infinity" in text


def checked(content: Any, form: Any, where: object, cure: str) -> Any:
    """The content, if it has the form of a type: a TypedDict, which may have further keys, a list, a dict, a union.

    Numbers are finite: ``1e999`` is JSON, and infinite to Python.

    Raises:
        ValueError: with ``where`` it was found, the key, the value, the form, and the ``cure``.
    """
    fault = _fault_of(form)(content)
    if fault is not None:
        raise ValueError(f"{where}: {fault.lstrip('.') if fault[0] == '.' else f'the content{fault}'}: {cure}")
    return content


@cache
def _fault_of(form: Any) -> FaultOf:
    """Made once a type, as predictions.jsonl has a hundred values a line."""
    origin, arguments = get_origin(form), get_args(form)
    if form is Any:
        return lambda value: None  # noqa: ARG005
    if is_typeddict(form):
        return _object(form)
    if origin is Literal:
        return _plain(lambda value: isinstance(value, str) and value in arguments, f"one of {', '.join(arguments)}")
    return _plain(*_PLAIN[form]) if origin is None else _COMPOUND[origin]([_fault_of(inner) for inner in arguments])


_PLAIN: dict[Any, tuple[Callable[[Any], bool], str]] = {
    float: (lambda value: type(value) in (int, float) and -_LARGEST <= value <= _LARGEST, "a number"),
    int: (lambda value: type(value) is int and -(2**63) <= value < 2**63, "a whole number"),
    str: (lambda value: isinstance(value, str), "text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    NoneType: (lambda value: value is None, "null"),
}


def _plain(fits: Callable[[Any], bool], name: str) -> FaultOf:
    return lambda value: None if fits(value) else _wrong(value, name)


def _wrong(value: Any, name: str) -> str:
    shown = repr(value) if not isinstance(value, int) or abs(value) < 10**_LONGEST else "a huge number"
    return f" is {shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]}…'}, not {name}"


def _union(options: Sequence[FaultOf]) -> FaultOf:
    def fault(value: Any) -> str | None:
        faults = []
        for option in options:
            if (found := option(value)) is None:
                return None
            faults.append(found)
        inner = [found for found in faults if found[0] in ".["]  # the option that was meant
        return inner[0] if inner else " or ".join([faults[0], *(found.rpartition("not ")[2] for found in faults[1:])])

    return fault


def _first_fault(children: Iterable[tuple[str, FaultOf, Any]]) -> str | None:
    """That of the first of some keys with their values which has one."""
    return next((key + found for key, of_child, child in children if (found := of_child(child)) is not None), None)


def _object(form: Any) -> FaultOf:
    fields = [(name, f".{name}", _fault_of(hint)) for name, hint in get_type_hints(form).items()]
    required = form.__required_keys__

    def fault(value: Any) -> str | None:
        if not isinstance(value, dict):
            return _wrong(value, "an object")
        if not value.keys() >= required:
            return f" has no key {min(required - value.keys())!r}"
        return _first_fault((key, of_field, value[name]) for name, key, of_field in fields if name in value)

    return fault


def _mapping(of_key_and_value: Sequence[FaultOf]) -> FaultOf:
    def fault(value: Any) -> str | None:
        if not isinstance(value, dict):
            return _wrong(value, "an object")
        return _first_fault((f".{name}", of_key_and_value[1], child) for name, child in value.items())

    return fault


def _list(of_items: Sequence[FaultOf]) -> FaultOf:
    def fault(value: Any) -> str | None:
        if not isinstance(value, list):
            return _wrong(value, "a list")
        return _first_fault((f"[{number}]", of_items[0], item) for number, item in enumerate(value))

    return fault


def _tuple(of_items: Sequence[FaultOf]) -> FaultOf:
    def fault(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) != len(of_items):
            return _wrong(value, f"a list of {len(of_items)}")
        return _first_fault((f"[{n}]", *pair) for n, pair in enumerate(zip(of_items, value, strict=True)))

    return fault


_COMPOUND: dict[Any, Callable[[Sequence[FaultOf]], FaultOf]] = {
    Union: _union,
    UnionType: _union,
    list: _list,
    tuple: _tuple,
    dict: _mapping,
    Mapping: _mapping,
}

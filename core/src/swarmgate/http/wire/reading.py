"""Bytes of a request body into a typed struct, with faults that name the field they are about."""

from __future__ import annotations

import re
from typing import Any, ClassVar, TypeVar

import msgspec

from swarmgate.errors import RequestError

BodyT = TypeVar("BodyT", bound="Body")

_WHERE = re.compile(r"^(?P<what>.*) - at (?P<key>`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_BYTE = re.compile(r"^(?:JSON is malformed: )?(?P<what>.*?) \(byte (?P<byte>\d+)\)$", re.DOTALL)
#: An escaped high surrogate that no low one follows, or a low one alone, near enough.
_HALF = re.compile(rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][0-9a-fA-F]{2})")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]")
_NAMES_SHOWN, _NAME_LENGTH = 16, 48
#: Whole numbers beyond this fit no engine's arithmetic; where more makes sense, it means "no limit".
INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1


_NULL = msgspec.Raw(b"null")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Body(msgspec.Struct, kw_only=True):
    """Base of the request bodies.  Unknown fields are ignored here and named by :func:`ignored`.

    *within* says which fields are such bodies themselves, in which unknown ones are named too.
    """

    within: ClassVar[dict[str, type[Body]]] = {}


def read(body: bytes, kind: type[BodyT]) -> BodyT:
    """Decode *body* as a *kind*.

    Raises:
        RequestError: it is not JSON (the message says where it stops being so), or a field has
            the wrong type or a value out of range (*param* is the path to the field).

    """
    try:
        str(body, "utf-8")
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except msgspec.DecodeError as error:
        raise RequestError(_not_json(str(error), body)) from None
    except UnicodeDecodeError as error:
        where = _position(body, error.start)
        raise RequestError(f"the body is not JSON: expected UTF-8, found an invalid sequence {where}") from None
    except RecursionError:
        raise RequestError("the body is nested too deeply; flatten it") from None


def ignored(body: bytes, kind: type[Body], *, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the top-level fields of *body*, a JSON object, that a *kind* has no use for, *without* some of its own."""
    known, found = kind.__struct_fields__, _fields(body)
    names = [name for name in found if name not in known or name in without]
    for name, inner in kind.within.items():
        if name in found and found[name] != _NULL:
            names += (f"{name}.{each}" for each in ignored(bytes(found[name]), inner))
    return tuple(names)


def listed(names: tuple[str, ...]) -> str:
    """Join *names* for a response header: bounded, and nothing in it but what headers may hold."""
    shown = [_UNSAFE.sub("_", name[:_NAME_LENGTH]) or "_" for name in names[:_NAMES_SHOWN]]
    if len(names) > _NAMES_SHOWN:
        shown.append(f"and-{len(names) - _NAMES_SHOWN}-more")
    return ", ".join(shown)


def provided(**fields: Any) -> dict[str, Any]:  # a struct's fields are of any type
    """Return those *fields* that the client gave a value, so that defaults stay in one place."""
    return {name: value for name, value in fields.items() if value is not None}


def _misfit(message: str) -> RequestError:
    """Turn msgspec's message with a path into ours with a *param*."""
    found = _WHERE.match(message)
    what, path = (found["what"], found["path"].removeprefix(".")) if found else (message, "")
    if missing := _MISSING.match(what):
        path = f"{path}.{missing['name']}" if path else missing["name"]
        return RequestError(f"{path}: required, but missing", param=path)
    what = what[:1].lower() + what[1:]
    if found and found["key"]:
        what = f"in a key: {what}"
    if not path:
        return RequestError(f"the body must be a JSON object: {what}")
    return RequestError(f"{path}: {what}", param=path)


def _not_json(message: str, body: bytes) -> str:
    if not body.strip():
        return "the body is empty; expected a JSON object"
    if found := _BYTE.match(message):
        return f"the body is not JSON: {found['what']} {_position(body, int(found['byte']))}"
    if half := _HALF.search(body):
        return f"the body is not JSON: half a surrogate pair {_position(body, half.start())}"
    return f"the body is not JSON: {message[:1].lower() + message[1:]} {_position(body, len(body))}"


def _position(body: bytes, byte: int) -> str:
    line = body.count(b"\n", 0, byte) + 1
    column = byte - (body.rfind(b"\n", 0, byte) + 1) + 1
    return f"at byte {byte} (line {line}, column {column})"

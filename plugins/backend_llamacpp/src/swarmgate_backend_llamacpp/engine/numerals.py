"""Numbers within bounds as grammar expressions: what JSON Schema's ``minimum`` and its kin ask for.  Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from swarmgate_backend_llamacpp.engine.gbnf import either, literal

#: The last digit of a fraction that is not zero, and what may follow it: 0.0230 is as good as 0.023.
_SOME = '[1-9] "0"{0,15}'
INTEGER = '"-"? ("0" | [1-9] [0-9]{0,15})'
NUMBER = INTEGER + ' ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?'
#: Bounds beyond this many digits are taken for none.
MAX_DIGITS = 18
MAX_PLACES = 12
_NOTHING = '""'
_ZEROS = ('("." "0"{1,6})?', '"0"{0,6}')


def integer(low: int | None, high: int | None) -> str | None:
    """Return the expression for the integers from *low* to *high*, ends included; None if there are none."""
    if low is not None and high is not None and low > high:
        return None
    choices: list[str] = []
    if low is None or low < 0:
        bottom = max(1, -high) if high is not None else 1
        choices.append('"-" ' + _whole(bottom, None if low is None else -low))
    if high is None or high >= 0:
        choices.append(_whole(max(low or 0, 0), high))
    return either(choices)


def number(low: Decimal | None, high: Decimal | None, *, above: bool = False, below: bool = False) -> str | None:
    """Return the expression for the numbers from *low* to *high*; None if there are none.

    With *above* the lower end itself is not one of them, with *below* the upper end is not.
    """
    if low is not None and high is not None and (low > high or (low == high and (above or below))):
        return None
    choices: list[str] = []
    if low is None or low < 0:
        bottom, shut = (-high, below) if high is not None and high <= 0 else (Decimal(0), False)
        choices += ['"-" ' + choice for choice in _magnitudes(bottom, None if low is None else -low, shut, above)]
    if high is None or high > 0 or (high == 0 and not below):
        bottom, shut = (low, above) if low is not None and low >= 0 else (Decimal(0), False)
        choices += _magnitudes(bottom, high, shut, below)
    return either(choices) if choices else None


def _magnitudes(low: Decimal, high: Decimal | None, above: bool, below: bool) -> list[str]:  # noqa: FBT001
    """Numbers >= 0 in plain notation, with as many places as the bounds have and then any more."""
    places = max(_places(low), _places(high) if high is not None else 0)
    bottom, top = int(low.scaleb(places)), None if high is None else int(high.scaleb(places))
    more, some_more = (
        ("[0-9]{0,15}", f"[0-9]{{0,14}} {_SOME}") if places else ('("." [0-9]{1,15})?', f'"." [0-9]{{0,14}} {_SOME}')
    )
    choices = [_rounded(low, high, above, below, fewer) for fewer in range(places)]
    if above and (top is None or bottom < top):
        choices.append(f"{_exact(bottom, places)} {some_more}")
    first = bottom + 1 if above else bottom
    if top is None or first < top:
        choices.append(f"{_whole(first, None if top is None else top - 1, places)} {more}")
    if top is not None and not below and first <= top:
        choices.append(f"{_exact(top, places)} {_ZEROS[places > 0]}")
    return list(filter(None, choices))


def _rounded(low: Decimal, high: Decimal | None, above: bool, below: bool, places: int) -> str:  # noqa: FBT001
    """Numbers that need fewer places than the bounds have."""
    first = int(low.scaleb(places).to_integral_value(ROUND_CEILING))
    first += above and first == low.scaleb(places)
    last = None if high is None else int(high.scaleb(places).to_integral_value(ROUND_FLOOR))
    if last is not None and high is not None:
        last -= below and last == high.scaleb(places)
    return "" if last is not None and first > last else _whole(first, last, places)


def _places(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _exact(scaled: int, places: int) -> str:
    return literal(_written(scaled, places))


def _written(scaled: int, places: int) -> str:
    digits = str(scaled).zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def _whole(low: int, high: int | None, places: int = 0) -> str:
    """Numerals without sign from *low* to *high*, both times 10**places, with a point before the last *places*."""
    unit = 10**places
    length = len(str(low // unit))
    longest = len(str(high // unit)) if high is not None else length
    choices: list[str] = []
    for size in range(length, longest + 1):
        start = max(low, 10 ** (size - 1) * unit if size > 1 else 0)
        end = 10**size * unit - 1 if high is None else min(high, 10**size * unit - 1)
        if start <= end:
            choices.append(_between(_written(start, places), _written(end, places)))
    if high is None:
        fraction = f' "." [0-9]{{{places}}}' if places else ""
        choices.append(f"[1-9] [0-9]{{{length},{max(length, 15)}}}{fraction}")
    return either(choices)


def _between(low: str, high: str) -> str:
    """Numerals of one shape from *low* to *high*."""
    if not low:
        return _NOTHING
    if low == high:
        return literal(low)
    if low[0] == high[0]:
        return f"{literal(low[0])} {_between(low[1:], high[1:])}"
    least, most = (low[1:].replace("0", "") in ("", "."), high[1:].replace("9", "") in ("", "."))
    first, last = int(low[0]) + (not least), int(high[0]) - (not most)
    choices: list[str] = []
    if not least:
        choices.append(f"{literal(low[0])} {_between(low[1:], _filled(low[1:], '9'))}")
    if first <= last:
        choices.append(f"[{first}-{last}] {_any(low[1:])}".rstrip())
    if not most:
        choices.append(f"{literal(high[0])} {_between(_filled(high[1:], '0'), high[1:])}")
    return either(choices)


def _filled(shape: str, digit: str) -> str:
    return "".join("." if c == "." else digit for c in shape)


def _any(shape: str) -> str:
    whole, point, fraction = shape.partition(".")
    parts = [
        f"[0-9]{{{len(whole)}}}" if whole else "",
        '"."' if point else "",
        f"[0-9]{{{len(fraction)}}}" if fraction else "",
    ]
    return " ".join(filter(None, parts))

"""Reading what comes from outside: nothing is built beyond bounds, whatever is sent.

Plain Python without Odoo. JSON is decoded by the standard library, of which no input breaks the
process; what is too large, too deep or written with too many digits is told as `Unreadable`, before
anything is made of it, and costs no other element.
"""

import io
import json
import re
from decimal import Decimal

# Of one event as text: more is a broken meter, not use.
MAX_EVENT = 128 * 1024
# Lists and objects in one event: each takes far more memory than its two signs.
MAX_PARTS = 1000
# Levels of lists and objects within each other.
MAX_DEPTH = 32
# Of a number as it is written, and of its power of ten, which is that of a double at most.
MAX_NUMBER = 100
MAX_EXPONENT = 400
# Of broken elements of one array, and of steps to find their ends, sign by sign.
MAX_BROKEN = 1000
MAX_STEPS = 1_000_000
CHUNK = 512 * 1024

_OUTSIDE = re.compile(r'["\[\]{},]')
_INSIDE = re.compile(r'["\\]')
_SPACE = re.compile(r"[ \t\r\n]*")


class Unreadable(ValueError):
    """Why something cannot be read.

    :ivar str code: ``json`` (with what the JSON reader says in `detail`), ``depth``, ``number``,
        ``size``, ``array`` (it is none, or its elements cannot be told apart) or ``broken`` (too
        much of it is)
    """

    def __init__(self, code, detail=""):
        super().__init__(detail or code)
        self.code = code
        self.detail = detail


def _check_number(text):
    if len(text) > MAX_NUMBER:
        raise Unreadable("number")
    exponent = text.lower().partition("e")[2]
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT):
        raise Unreadable("number")
    return text


def _refuse_constant(name):
    raise Unreadable("json", f"{name} is no number")


# Made once. Numbers stay what they are written as.
_DECODER = json.JSONDecoder(
    parse_float=lambda text: Decimal(_check_number(text)),
    parse_int=lambda text: int(_check_number(text)),
    parse_constant=_refuse_constant,
)


def _check_depth(value, text, start, end):
    """Refuse a value that is nested too deep, or of too many parts; the decoder itself stops where
    Python's stack would.
    """
    parts = text.count("{", start, end) + text.count("[", start, end)
    if parts <= MAX_DEPTH:
        return
    if parts > MAX_PARTS:
        raise Unreadable("depth")
    level = [value]
    for _depth in range(MAX_DEPTH + 1):
        level = [
            inner
            for one in level
            if type(one) in (dict, list)
            for inner in (one.values() if type(one) is dict else one)
        ]
        if not level:
            return
    raise Unreadable("depth")


def loads(text):
    """Return the value that a JSON text holds; numbers with a point or power as Decimals.

    :raise Unreadable: when it is no JSON, or beyond the bounds
    """
    if len(text) > MAX_EVENT:
        raise Unreadable("size")
    try:
        value = _DECODER.decode(text)
    except Unreadable:
        raise
    except RecursionError as error:
        raise Unreadable("depth") from error
    except ValueError as error:
        raise Unreadable("json", str(error)) from error
    _check_depth(value, text, 0, len(text))
    return value


class _Scan:
    """Looks for the end of an element of an array, in pieces of text, sign by sign."""

    def __init__(self):
        self.steps = 0
        self._depth = 0
        self._in_string = self._escaped = False

    def find_end(self, text, position):
        """Return where the comma or bracket stands that ends the element; None: not in this text.

        :raise Unreadable: where that takes too many steps
        """
        while position < len(text):
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise Unreadable("broken")
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(text, position)
            if not found:
                return None
            sign, position = found[0], found.end()
            if self._in_string:
                self._in_string, self._escaped = sign != '"', sign == "\\"
            elif sign == '"':
                self._in_string = True
            elif sign in "[{":
                self._depth += 1
            elif not self._depth:
                if sign == "}":
                    raise Unreadable("array")
                return found.start()
            elif sign in "]}":
                self._depth -= 1
        return None


class ArrayReader:
    """Reads the elements of a JSON array one by one, so that a broken one costs no other."""

    def __init__(self, stream):
        """Read from a binary stream of UTF-8."""
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        self._buffer, self._position = "", 0
        self._broken = self._steps = 0

    def _fill(self, wanted):
        """Have so many characters ahead, unless the stream ends; return how many there are."""
        while len(self._buffer) - self._position < wanted:
            more = self._text.read(CHUNK)
            if not more:
                break
            self._buffer = self._buffer[self._position :] + more
            self._position = 0
        return len(self._buffer) - self._position

    def _skip_space(self):
        """Go on to the next sign, and return it; empty at the end."""
        while True:
            self._position = _SPACE.match(self._buffer, self._position).end()
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._fill(1):
                return ""

    def __iter__(self):
        """Yield the elements: values, or Unreadable with the beginning of its text as `text`.

        :raise Unreadable: where the rest cannot be told apart
        :raise UnicodeDecodeError: where it is no UTF-8
        """
        if self._skip_space() != "[":
            raise Unreadable("array")
        self._position += 1
        if self._skip_space() == "]":
            self._position += 1
        else:
            while True:
                yield self._read_element()
                sign = self._skip_space()
                self._position += 1
                if sign == "]":
                    break
                if sign != "," or self._skip_space() == "]":
                    raise Unreadable("array")
        if self._skip_space():
            raise Unreadable("array")

    def _read_element(self):
        # An element that is whole ends before the text that is at hand does.
        self._fill(MAX_EVENT + 1)
        start = self._position
        try:
            value, end = _DECODER.raw_decode(self._buffer, start)
            if end - start > MAX_EVENT:
                raise Unreadable("size")
            _check_depth(value, self._buffer, start, end)
        except Unreadable as error:
            return self._pass_over(error)
        except RecursionError:
            return self._pass_over(Unreadable("depth"))
        except ValueError as error:
            # Where it is in the text that is at hand says nothing.
            return self._pass_over(Unreadable("json", getattr(error, "msg", str(error))))
        self._position = end
        return value

    def _pass_over(self, error):
        """Go on behind an element that is broken; return why it is."""
        text = self._buffer[self._position : self._position + 1000]
        scan, size = _Scan(), 0
        scan.steps = self._steps
        self._broken += 1
        if self._broken > MAX_BROKEN:
            raise Unreadable("broken")
        end = None
        while end is None:
            end = scan.find_end(self._buffer, self._position)
            stop = len(self._buffer) if end is None else end
            size += stop - self._position
            self._position = stop
            if end is None and not self._fill(1):
                raise Unreadable("array")
        self._steps = scan.steps
        if size > MAX_EVENT:
            error = Unreadable("size")
        error.text = text
        return error


def bounded_lines(stream, limit):
    """Return the lines of a text stream for a reader of records that may span several of them.

    :param stream: a text stream
    :param int limit: the most characters that one record may have
    :return: (iterator over lines, function to call when a record is complete)
    :raise Unreadable: from the iterator, where a record is larger
    """
    taken = 0

    def lines():
        nonlocal taken
        while line := stream.readline(limit + 1):
            taken += len(line)
            if taken > limit:
                raise Unreadable("size")
            yield line

    def complete():
        nonlocal taken
        taken = 0

    return lines(), complete

"""What a connector in Python is written with: the contract's values in fewer words, and what the usual failures mean for a
page. It says the same as the SDK for Rust (connectors/sdk). Copy it into a connector of your own."""

import functools
import importlib
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from componentize_py_types import Err
from wit_world.imports import http, log
from wit_world.imports.http import Response, Selection
from wit_world.imports.types import (
    AuthScheme_Bearer,
    Descriptor,
    FetchError_Fatal,
    FetchError_InvalidResponse,
    FetchError_Retry,
    FetchError_Unauthorized,
    Page,
    Records_Selected,
    RetryHint,
)

# What is imported while the component is built becomes a part of it; later there are no files to import from. So these are
# imported here, for a connector that imports within a function, and for Python itself: it imports `_strptime` and the codecs
# of `bytes.decode` when they are first used.
EARLY = """
    _strptime base64 calendar collections csv dataclasses datetime decimal email.utils enum fractions hashlib hmac html io
    itertools math operator random re statistics string textwrap time typing unicodedata urllib.parse uuid zlib zoneinfo
    xml.etree.ElementTree
    encodings.ascii encodings.cp1252 encodings.cp850 encodings.idna encodings.iso8859_1 encodings.iso8859_15
    encodings.latin_1 encodings.utf_16 encodings.utf_16_be encodings.utf_16_le encodings.utf_8 encodings.utf_8_sig
"""
for _module in EARLY.split():
    importlib.import_module(_module)


def reported(exported: Callable) -> Callable:
    """A method that is exported, with its mistakes in the scrap's log, line by line. What the contract has no variant for
    ends the scrap, and would do so without a word."""

    @functools.wraps(exported)
    def method(*given: Any) -> Any:
        try:
            return exported(*given)
        except Err:
            raise
        except Exception as error:
            for part in traceback.format_exception(error):
                for line in part.rstrip().split("\n"):
                    log.log(log.Level.ERROR, line)
            # Python itself would write the same once more, to standard error.
            sys.excepthook = lambda *_: None
            raise

    return method


def descriptor(route: str, api: str, **differs: Any) -> Descriptor:
    """A route with what is true of most. What differs is given by the contract's names in snake_case."""
    common = dict(
        version="0.1.0",
        cursor_format=1,  # raise it whenever cursors change meaning
        takes_period=False,
        page_size=100,
        lag_seconds=0,
        auth=AuthScheme_Bearer(),
        requests=[],  # none: GET below the base URL is all it needs
        rate=None,
        settings_schema="{}",
        key=[],
        changed_at=None,
        unhashed=[],
    )
    return Descriptor(route=route, api=api, **(common | differs))


def get(target: str, **query: Any) -> Response:
    """Sends a GET below the base URL that the operator set; the host adds the credential. Gives the answer if its status is
    a success, and raises what any other outcome means for the page."""
    pairs = [(name, str(value)) for name, value in query.items()]
    try:
        answer = http.send(http.Request(http.Method.GET, target, pairs, [], None))
    except Err as error:
        _from_http_error(error.value)
    status = answer.status()
    if 200 <= status < 300:
        return answer
    _from_status(status, answer.retry_after_ms(), _excerpt(answer.body()))


def select(answer: Response, pointer: str) -> Selection:
    """The elements of the array at a JSON pointer, as records that stay in the host."""
    try:
        return answer.select(pointer, None)
    except Err as error:
        _from_body_error(error.value)


ABSENT = object()
"""Nothing stands at the pointer; `None` is JSON's `null`."""


def value(answer: Response, pointer: str) -> Any:
    """The value at a JSON pointer, or `ABSENT`. Not for records: a number passes through a double."""
    try:
        text = answer.json(pointer)
    except Err as error:
        _from_body_error(error.value)
    return ABSENT if text is None else json.loads(text)


def is_nothing(found: Any) -> bool:
    """Whether a value says that nothing is there: APIs write it as `null`, `false`, a blank string, `"null"`, `[]` or `{}`."""
    if isinstance(found, str):
        return found.strip().lower() in ("", "null", "undefined", "none", "nil")
    return found is ABSENT or found is None or found is False or found == [] or found == {}


def is_no(found: Any) -> bool:
    """Whether a value says no where one stands that is more than a number: nothing, `0`, `"false"`."""
    if isinstance(found, str) and found.strip().lower() in ("0", "false", "no"):
        return True
    return is_nothing(found) or found == 0


def whole(answer: Response, pointer: str) -> int | None:
    """The whole number at a JSON pointer, be it written as a number or as a string, or as `3.0`; none for nothing, however
    it is written."""
    found = value(answer, pointer)
    number = _whole(found)
    if number is not None or is_nothing(found):
        return number
    invalid_response(f"{pointer} is no whole number: {found!r:.200}")


def informs(answer: Response, pointer: str) -> int | None:
    """A number that only informs, such as how many records there are in all: as `whole` reads it, and none for whatever is
    not one. A source that writes `-1` there stops no page."""
    return _whole(value(answer, pointer))


def _whole(found: Any) -> int | None:
    if isinstance(found, str):
        before, _, fraction = found.strip().partition(".")
        found = int(before) if before.isdecimal() and before.isascii() and not fraction.strip("0") else None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return found if type(found) is int and 0 <= found < 2**64 else None


def page(selection: Selection, next: list[str], total_records: int | None = None) -> Page:
    """A page: its records, what comes next (nothing, one cursor, or branches), and the total that the source declares."""
    return Page(Records_Selected([selection]), next, [], total_records)


def retry(reason: str, after_ms: int | None = None) -> NoReturn:
    """A passing fault: the host asks again, as its backoff says or not before `after_ms`."""
    raise Err(FetchError_Retry(RetryHint(reason, after_ms)))


def unauthorized(reason: str) -> NoReturn:
    """The source refused the credential."""
    raise Err(FetchError_Unauthorized(reason))


def invalid_response(reason: str) -> NoReturn:
    """The source broke its own contract."""
    raise Err(FetchError_InvalidResponse(reason))


def fatal(reason: str) -> NoReturn:
    """Nothing that waiting would mend."""
    raise Err(FetchError_Fatal(reason))


def _from_status(status: int, retry_after_ms: int | None, said: str) -> NoReturn:
    """What a status that is no success means. An API that says something else by its statuses needs its own."""
    reason = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status in (401, 403):
        unauthorized(reason)
    if status in (408, 425, 429) or status >= 500:
        retry(reason, retry_after_ms)
    if status >= 400:
        fatal(reason)
    invalid_response(reason)


def _from_http_error(error: http.HttpError) -> NoReturn:
    match error:
        case http.HttpError_Connect(why):
            retry(f"no connection: {why}")
        case http.HttpError_Interrupted(why):
            retry(f"the connection broke: {why}")
        case http.HttpError_Timeout(why):
            retry(f"no answer in time: {why}")
        case http.HttpError_Denied(why):
            fatal(f"not granted: {why}")
        case http.HttpError_InvalidRequest(why):
            fatal(f"not a request: {why}")
        case http.HttpError_TooLarge(limit):
            fatal(f"the answer is larger than {limit} bytes")
        case http.HttpError_Exhausted(why):
            fatal(f"too much for one page: {why}")


def _from_body_error(error: http.BodyError) -> NoReturn:
    match error:
        case http.BodyError_NotJson(why):  # a proxy's HTML under status 200, or half a body: as a rule the next is whole
            retry(why)
        case http.BodyError_Missing(why) | http.BodyError_NotAnArray(why):
            invalid_response(why)
        case http.BodyError_TooMany(limit):
            invalid_response(f"more than {limit} records on one page")
        case http.BodyError_InvalidPointer(why):
            fatal(f"not a JSON pointer: {why}")


def _excerpt(body: bytes) -> str:
    """The beginning of a body, fit to stand in a line of text."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return f"{text}…" if len(body) > 200 else text

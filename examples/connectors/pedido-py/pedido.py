"""Orders (`pedido`) of the Jueri v1 API: the same route as connectors/pedido in Rust, to the byte.

    GET {cliente}/pedido?data_inicial=2025-10-20&data_final=2025-10-24&page=1&per_page=1000

    {"data": [{"id": 1, …}, …], "current_page": 1, "last_page": 5, "next_page_url": "…", "total": 4711}

A cursor is a page's number (cursor format 1)."""

import wit_world
from wit_world.imports.http import Response
from wit_world.imports.types import Descriptor, Page, RateBudget, Scrap

import atlas

MAX_BRANCHES = 100_000
"""The most branches that a page may name; a source with more pages is followed one by one."""


class WitWorld(wit_world.WitWorld):
    @atlas.reported
    def describe(self, definition: str | None) -> Descriptor:
        return atlas.descriptor(
            route="pedido",
            api="jueri",
            takes_period=True,
            page_size=1000,
            # What public clients of the API hold themselves to.
            rate=RateBudget(per_second=4.0, burst=None, per_day=10_000, concurrency=None),
            key=["/id"],
        )

    @atlas.reported
    def fetch_page(self, scrap: Scrap, cursor: str | None) -> Page:
        number = page_number(cursor)
        answer = atlas.get(
            f"{scrap.client_id}/pedido",
            page=number,
            per_page=scrap.page_size,
            data_inicial=scrap.period.start,
            data_final=scrap.period.end,
        )
        orders = atlas.select(answer, "/data")
        return atlas.page(orders, next_pages(number, orders.len(), answer), atlas.informs(answer, "/total"))


def page_number(cursor: str | None) -> int:
    if cursor is None:
        return 1
    number = int(cursor) if cursor.isascii() and cursor.isdecimal() else 0
    if 0 < number < 2**64:
        return number
    atlas.fatal(f"not a page number: {cursor:.40}")


def next_pages(number: int, records: int, answer: Response) -> list[str]:
    """The first page names all the others, to be fetched side by side; each of those names the one after it, so that a
    source that grows while it is read is followed to its end."""
    current = atlas.whole(answer, "/current_page")
    last = atlas.whole(answer, "/last_page")
    url = atlas.value(answer, "/next_page_url")
    if current is not None and current != number:
        # Some sources answer with their last page when the one asked for is no longer there.
        if current < number and last == current:
            return []
        atlas.invalid_response(f"page {number} was asked for, and page {current} came")
    if number == 1 and last is not None and 2 <= last <= MAX_BRANCHES + 1:
        return [str(page) for page in range(2, last + 1)]
    if url is atlas.ABSENT and last is None:
        # Nothing says where the pages end: the first empty one does.
        goes_on = records > 0
    else:
        goes_on = not atlas.is_no(url) or (last is not None and number < last)
    return [str(number + 1)] if goes_on else []

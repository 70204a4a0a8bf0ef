// Orders (`pedido`) of the Jueri v1 API: the same route as connectors/pedido in Rust, to the byte.
//
//     GET {cliente}/pedido?data_inicial=2025-10-20&data_final=2025-10-24&page=1&per_page=1000
//
//     {"data": [{"id": 1, …}, …], "current_page": 1, "last_page": 5, "next_page_url": "…", "total": 4711}
//
// A cursor is a page's number (cursor format 1).

import { descriptor, fatal, get, informs, invalidResponse, isNo, page, reported, select, value, whole } from "./atlas.js";

/** The most branches that a page may name; a source with more pages is followed one by one. */
const MAX_BRANCHES = 100_000;

export const describe = reported((_definition) =>
  descriptor({
    route: "pedido",
    api: "jueri",
    takesPeriod: true,
    pageSize: 1000,
    // What public clients of the API hold themselves to.
    rate: { perSecond: 4, burst: null, perDay: 10_000, concurrency: null },
    key: ["/id"],
  }),
);

export const fetchPage = reported((scrap, cursor) => {
  const number = pageNumber(cursor);
  const answer = get(`${scrap.clientId}/pedido`, {
    page: number,
    per_page: scrap.pageSize,
    data_inicial: scrap.period.start,
    data_final: scrap.period.end,
  });
  const orders = select(answer, "/data");
  return page(orders, next(number, orders.len(), answer), informs(answer, "/total"));
});

function pageNumber(cursor) {
  if (cursor === null) return 1;
  const number = /^\d+$/.test(cursor) ? Number(cursor) : 0;
  if (number > 0 && Number.isSafeInteger(number)) return number;
  throw fatal(`not a page number: ${cursor.slice(0, 40)}`);
}

/** The first page names all the others, to be fetched side by side; each of those names the one after it, so that a source
 * that grows while it is read is followed to its end. */
function next(number, records, answer) {
  const current = whole(answer, "/current_page");
  const last = whole(answer, "/last_page");
  const url = value(answer, "/next_page_url");
  if (current !== null && current !== number) {
    // Some sources answer with their last page when the one asked for is no longer there.
    if (current < number && last === current) return [];
    throw invalidResponse(`page ${number} was asked for, and page ${current} came`);
  }
  if (number === 1 && last >= 2 && last <= MAX_BRANCHES + 1) {
    return Array.from({ length: last - 1 }, (_, index) => String(index + 2));
  }
  // Where nothing says where the pages end, the first empty one does.
  const goesOn = url === undefined && last === null ? records > 0 : !isNo(url) || (last !== null && number < last);
  return goesOn ? [String(number + 1)] : [];
}

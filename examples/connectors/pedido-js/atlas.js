// What a connector in JavaScript is written with: the contract's values in fewer words, and what the usual failures mean
// for a page. It says the same as the SDK for Rust (connectors/sdk). Copy it into a connector of your own.

import http from "atlas:connector/http@0.1.0";
import log from "atlas:connector/log@0.1.0";

/** The engine has no console of its own: what is written to one is the connector's log. */
globalThis.console ??= Object.fromEntries(
  ["debug", "log", "info", "warn", "error"].map((method) => [
    method,
    (...values) => log.log(method === "log" ? "info" : method, values.map(shown).join(" ")),
  ]),
);

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value}\n${value.stack}`;
  return JSON.stringify(value) ?? String(value);
}

/** A function that is exported, with its mistakes in the scrap's log, line by line. What the contract has no variant for ends
 * the scrap, and would do so without a word. */
export function reported(exported) {
  return (...given) => {
    try {
      return exported(...given);
    } catch (error) {
      if (error instanceof Error) {
        for (const line of [String(error), ...error.stack.trimEnd().split("\n")]) log.log("error", line);
      }
      throw error;
    }
  };
}

/** A route with what is true of most. What differs is given in `route`, by the contract's names in camelCase. */
export function descriptor(route) {
  return {
    version: "0.1.0",
    cursorFormat: 1, // raise it whenever cursors change meaning
    takesPeriod: false,
    pageSize: 100,
    lagSeconds: 0,
    auth: { tag: "bearer" },
    requests: [], // none: GET below the base URL is all it needs
    rate: null,
    settingsSchema: "{}",
    key: [],
    changedAt: null,
    unhashed: [],
    ...route,
  };
}

/** Sends a GET below the base URL that the operator set; the host adds the credential. Gives the answer if its status is
 * a success, and throws what any other outcome means for the page. */
export function get(target, query = {}) {
  const pairs = Object.entries(query).map(([name, value]) => [name, String(value)]);
  let answer;
  try {
    answer = http.send({ method: "get", target, query: pairs, headers: [], body: null });
  } catch (error) {
    throw fromHttpError(error);
  }
  const status = answer.status();
  if (status >= 200 && status < 300) return answer;
  throw fromStatus(status, answer.retryAfterMs(), excerpt(answer.body()));
}

/** The elements of the array at a JSON pointer, as records that stay in the host. */
export function select(answer, pointer) {
  return read(() => answer.select(pointer, null));
}

/** The value at a JSON pointer; `undefined` if nothing stands there. Not for records: a number passes through a double. */
export function value(answer, pointer) {
  const text = read(() => answer.json(pointer));
  return text === null ? undefined : JSON.parse(text);
}

/** Whether a value says that nothing is there: APIs write it as `null`, `false`, a blank string, `"null"`, `[]` or `{}`. */
export function isNothing(found) {
  if (typeof found === "string") return /^\s*(null|undefined|none|nil)?\s*$/i.test(found);
  return found == null || found === false || (typeof found === "object" && Object.keys(found).length === 0);
}

/** Whether a value says no where one stands that is more than a number: nothing, `0`, `"false"`. */
export function isNo(found) {
  return isNothing(found) || found === 0 || (typeof found === "string" && /^\s*(0|false|no)\s*$/i.test(found));
}

/** The whole number at a JSON pointer, be it written as a number or as a string, or as `3.0`; `null` for nothing, however it is
 * written. */
export function whole(answer, pointer) {
  const found = value(answer, pointer);
  if (isNothing(found)) return null;
  const number = typeof found === "string" && /^\s*\d+(\.0+)?\s*$/.test(found) ? Number(found) : found;
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw invalidResponse(`${pointer} is no whole number: ${JSON.stringify(found).slice(0, 200)}`);
}

/** A number that only informs, such as how many records there are in all: as `whole` reads it, and `null` for whatever is
 * not one. A source that writes `-1` there stops no page. */
export function informs(answer, pointer) {
  try {
    return whole(answer, pointer);
  } catch {
    return null;
  }
}

/** A page: its records, what comes next (nothing, one cursor, or branches), and the total that the source declares. */
export function page(selection, next, totalRecords = null) {
  return { records: { tag: "selected", val: [selection] }, next, afterCommit: [], totalRecords };
}

/** A passing fault: the host asks again, as its backoff says or not before `afterMs`. */
export const retry = (reason, afterMs = null) => ({ tag: "retry", val: { reason, afterMs } });
/** The source refused the credential. */
export const unauthorized = (reason) => ({ tag: "unauthorized", val: reason });
/** The source broke its own contract. */
export const invalidResponse = (reason) => ({ tag: "invalid-response", val: reason });
/** Nothing that waiting would mend. */
export const fatal = (reason) => ({ tag: "fatal", val: reason });

/** What a status that is no success means. An API that says something else by its statuses needs a function of its own. */
function fromStatus(status, retryAfterMs, said) {
  const reason = said ? `HTTP ${status}: ${said}` : `HTTP ${status}`;
  if (status === 401 || status === 403) return unauthorized(reason);
  if ([408, 425, 429].includes(status) || status >= 500) return retry(reason, retryAfterMs);
  return status >= 400 ? fatal(reason) : invalidResponse(reason);
}

/** Why there is no answer. An import throws an `Error` whose `payload` is the contract's variant; one without is a mistake of
 * ours, and is thrown on as it is. */
function fromHttpError(error) {
  const { tag, val } = error.payload ?? {};
  switch (tag) {
    case "connect":
      return retry(`no connection: ${val}`);
    case "interrupted":
      return retry(`the connection broke: ${val}`);
    case "timeout":
      return retry(`no answer in time: ${val}`);
    case "denied":
      return fatal(`not granted: ${val}`);
    case "invalid-request":
      return fatal(`not a request: ${val}`);
    case "too-large":
      return fatal(`the answer is larger than ${val} bytes`);
    case "exhausted":
      return fatal(`too much for one page: ${val}`);
    default:
      return error;
  }
}

function read(reader) {
  try {
    return reader();
  } catch (error) {
    throw fromBodyError(error);
  }
}

function fromBodyError(error) {
  const { tag, val } = error.payload ?? {};
  switch (tag) {
    case "not-json": // a proxy's HTML under status 200, or half a body: as a rule the next answer is whole
      return retry(val);
    case "missing":
    case "not-an-array":
      return invalidResponse(val);
    case "too-many":
      return invalidResponse(`more than ${val} records on one page`);
    case "invalid-pointer":
      return fatal(`not a JSON pointer: ${val}`);
    default:
      return error;
  }
}

/** The beginning of a body, fit to stand in a line of text. */
function excerpt(body) {
  let text = String.fromCharCode(...body.slice(0, 200));
  try {
    text = decodeURIComponent(escape(text)); // there is no TextDecoder here
  } catch {
    // Not UTF-8, or cut within a character: as Latin-1, then.
  }
  text = text.trim().replace(/\s+/g, " ").replace(/[\x00-\x1f\x7f-\x9f]/g, "");
  return body.length > 200 ? `${text}…` : text;
}

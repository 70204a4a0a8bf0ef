// Shows what changes while one looks. Everything that can be done can be done without this script.
"use strict";

const page = document.body.dataset;
// The path in front of all others, where there is one.
const prefix = new URL(document.currentScript.src).pathname.replace(/\/assets\/[^/]*$/, "");
const locale = document.documentElement.lang;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium", timeZone: page.zone });

// The server renders times and counts days in the browser's zone once it knows it. A zone is a setting, not a secret.
const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (ownZone) document.cookie = `atlas_fuso=${encodeURIComponent(ownZone)}; path=/; max-age=31536000; samesite=strict`;

function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 60) return `${whole.format(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(Math.floor(s % 60)).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s / 60) % 60)).padStart(2, "0")} min`;
}

const shown = {
  registros_por_segundo: (scrap) => (scrap.estado === "executando" ? tenths.format(scrap.registros_por_segundo) : "–"),
  pagina_ms: (scrap) => (scrap.pagina_ms === null ? null : tenths.format(scrap.pagina_ms)),
  restam_s: (scrap) => seconds(scrap.restam_s),
  total_declarado: (scrap) => (scrap.total_declarado === null ? "–" : whole.format(scrap.total_declarado)),
  ritmo: (scrap) => (scrap.estado === "executando" ? `${tenths.format(scrap.registros_por_segundo)}/s` : ""),
  restam: (scrap) => (scrap.estado === "executando" && scrap.restam_s !== null ? seconds(scrap.restam_s) : ""),
  tentativas: (scrap) => (scrap.estado === "executando" && scrap.tentativas_falhas > 0 ? `${whole.format(scrap.tentativas_falhas)} ${page.failed}` : ""),
  limitado_ate: (scrap) => (scrap.limitado_ate ? `${page.until} ${clock.format(new Date(scrap.limitado_ate))}` : ""),
};

function show(place, scrap) {
  for (const cell of place.querySelectorAll("[data-f]")) {
    const field = cell.dataset.f;
    if (field === "progresso") {
      const byRecords = scrap.total_declarado > 0;
      cell.max = byRecords ? scrap.total_declarado : Math.max(1, scrap.paginas + scrap.fronteira);
      cell.value = byRecords ? Math.min(scrap.lidos, scrap.total_declarado) : scrap.paginas;
      continue;
    }
    const text = field in shown ? shown[field](scrap) : whole.format(scrap[field]);
    if (text === null) continue;
    if (field === "limitado_ate" || field === "tentativas") cell.hidden = text === "";
    if (cell.textContent !== text) cell.textContent = text;
  }
}

// What depends on a scrap's state (its badge, what can be done) is rendered by the server.
const asking = new Set();
async function again(place, address) {
  if (asking.has(address)) return;
  asking.add(address);
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const fresh = holder.content.firstElementChild;
    if (fresh) {
      const focused = place.contains(document.activeElement) ? document.activeElement : null;
      const same = focused?.getAttribute("href");
      place.replaceWith(fresh);
      atEnd(fresh);
      cards(document);
      if (focused) (fresh.querySelector(same ? `a[href="${CSS.escape(same)}"]` : "button") ?? fresh.querySelector("a, button"))?.focus();
      for (const figure of fresh.querySelectorAll("[data-plot]")) plot(figure);
    }
  } catch {
    // The connection is gone: it is said so, and everything is asked for again when it is back.
  } finally {
    asking.delete(address);
  }
}

// On a narrow screen a table's row is a card, and each cell says what it is.
function cards(within) {
  for (const table of within.querySelectorAll("table.dense")) {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, at) => { cell.dataset.l = names[at]; });
    table.classList.add("cards");
  }
}

// What was written or logged last is in sight.
function atEnd(within) {
  for (const list of within.querySelectorAll(".log, .strip")) list.scrollTop = list.scrollHeight;
}

// A scrap's newest pages change with each event: they are asked for once in a while, and once more after the last.
const UNDERWAY_PAUSE = 1500;
let underway = null;
function onUnderway() {
  if (underway !== null) return;
  underway = setTimeout(() => {
    underway = null;
    const place = document.querySelector("[data-underway]");
    if (place) again(place, place.dataset.underway);
  }, UNDERWAY_PAUSE);
}

function onScrap(scrap) {
  for (const place of document.querySelectorAll(`[data-scrap="${scrap.id}"]`)) {
    if (place.dataset.state !== scrap.estado) {
      const address = "whole" in place.dataset ? `${prefix}/scraps/${scrap.id}?parte=1` : `${prefix}/scraps/${scrap.id}/linha`;
      again(place, address);
    } else {
      show(place, scrap);
      if ("whole" in place.dataset) onUnderway();
    }
    const figure = place.querySelector("[data-plot]");
    if (figure && scrap.estado === "executando") {
      point(figure, { at: new Date().toISOString(), rate: scrap.registros_por_segundo, page_ms: scrap.pagina_ms });
    }
  }
  const table = document.getElementById("scraps");
  if (table && "newest" in table.dataset && scrap.id > Number(table.dataset.first) && scrap.fatia_de === null) {
    document.getElementById("novos").hidden = false;
  }
}

function onLine(line, list) {
  if (!list) return;
  list.parentElement.querySelector("[data-none]")?.remove();
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = new Date().toISOString();
  time.textContent = clock.format(new Date());
  const text = document.createElement("span");
  text.textContent = line.texto;
  item.append(time, " ", text);
  const wasAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  list.append(item);
  while (list.children.length > 500) list.firstElementChild.remove();
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
}

// A search reads a part of the table at a time. It goes on by itself until there is a page of records, all were looked at, or it
// is stopped; a page that is hidden waits.
async function searchOn() {
  const state = document.getElementById("busca");
  const button = document.getElementById("parar");
  if (!button) return;
  let stopped = false;
  let [looked, count, large] = ["examinados", "achados", "grandes"].map((name) => Number(state.dataset[name]));
  let onward = state.dataset.continua;
  button.addEventListener("click", () => { stopped = true; });
  button.hidden = count >= Number(state.dataset.cheia);
  while (onward && !stopped && count < Number(state.dataset.cheia)) {
    if (document.hidden) {
      await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
      continue;
    }
    state.querySelector("nav a").textContent = page.searching;
    let next;
    try {
      const answer = await fetch(onward, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) break;
      next = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      break;
    }
    const part = next.getElementById("busca");
    if (!part) break;
    const status = part.querySelector("[role=status]");
    looked += Number(part.dataset.examinados);
    count += Number(part.dataset.achados);
    large += Number(part.dataset.grandes);
    // Several parts were looked at, so these are plurals, unless one record of all was too large: that one's line is its own.
    if (looked > 1) status.firstElementChild.textContent = state.dataset.examinadosDito.replace("{}", whole.format(looked));
    const told = status.querySelector(".grandes") ?? state.querySelector(".grandes");
    if (told && large > 1) told.textContent = ` ${state.dataset.grandesDito.replace("{}", whole.format(large))}`;
    if (told) status.append(told);
    state.querySelector("[role=status]").replaceChildren(...status.childNodes);
    const [rows, table] = [next.querySelectorAll("#achados tbody tr"), document.querySelector("#achados tbody")];
    if (table) table.append(...rows);
    else document.getElementById("achados").append(...next.getElementById("achados").children);
    cards(document);
    onward = part.dataset.continua;
  }
  button.hidden = true;
  const link = state.querySelector("nav a");
  if (onward) {
    link.href = onward;
    link.textContent = page.searchOn;
  } else {
    link.closest("nav").remove();
  }
}

// Records a second, and how long pages take.
const points = new WeakMap();
async function plot(figure) {
  points.set(figure, []);
  try {
    const answer = await fetch(`${prefix}/api/v1/scraps/${figure.dataset.plot}/plot`);
    if (answer.ok) points.set(figure, await answer.json());
  } catch {
    // What comes from now on is shown all the same.
  }
  draw(figure);
}

function point(figure, value) {
  const all = points.get(figure);
  if (!all) return;
  all.push(value);
  if (all.length > 1200) all.shift();
  draw(figure);
}

// The highest value of an axis: the next 1, 2 or 5 with noughts.
function rounded(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((value) => value >= most);
}

function drawn(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function draw(figure) {
  const all = points.get(figure) ?? [];
  const svg = figure.querySelector("svg");
  const [width, height] = [svg.clientWidth, svg.clientHeight];
  if (all.length < 2 || width === 0) return;
  const [left, right, top, bottom] = [52, 52, 8, 20];
  const times = all.map((p) => new Date(p.at).getTime());
  const [begin, end] = [times[0], Math.max(times.at(-1), times[0] + 1)];
  const x = (time) => left + ((time - begin) / (end - begin)) * (width - left - right);
  const line = (of, kind) => {
    const known = all.map((p, at) => [times[at], of(p)]).filter(([, value]) => value !== null && value !== undefined);
    const most = rounded(Math.max(...known.map(([, value]) => value), 1));
    const y = (value) => height - bottom - (value / most) * (height - top - bottom);
    const d = known.map(([time, value], n) => `${n ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    return { most, path: drawn("path", { d, class: kind }), isKnown: known.length > 0 };
  };
  const rate = line((p) => p.rate, "rate");
  const latency = line((p) => p.page_ms, "latency");
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const y = height - bottom - part * (height - top - bottom);
    parts.push(drawn("path", { d: `M${left} ${y}H${width - right}`, class: "base" }));
    parts.push(drawn("text", { x: left - 6, y: y + 4, class: "rate-key", "text-anchor": "end" }, compact.format(rate.most * part)));
    if (latency.isKnown) parts.push(drawn("text", { x: width - right + 6, y: y + 4, class: "latency-key" }, compact.format(latency.most * part)));
  }
  parts.push(drawn("text", { x: left, y: height - 4 }, clock.format(begin)));
  parts.push(drawn("text", { x: width - right, y: height - 4, "text-anchor": "end" }, clock.format(end)));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts, latency.path, rate.path);
  figure.querySelector("figcaption").hidden = true;
  figure.querySelector(".legend").hidden = false;
}

function live() {
  const state = document.getElementById("live");
  if (!state || !page.since) return;
  state.hidden = false;
  const say = (on) => {
    state.dataset.state = on ? "on" : "off";
    state.lastElementChild.textContent = on ? page.liveOn : page.liveOff;
  };
  let seen = page.since;
  let events = null;
  let wait = 1000;
  const open = () => {
    events?.close();
    if (document.hidden) return;
    events = new EventSource(`${prefix}/api/v1/events?since=${encodeURIComponent(seen)}`);
    events.onopen = () => {
      wait = 1000;
      say(true);
    };
    // A server that is back, or another: what this page shows may be old.
    events.addEventListener("reset", () => {
      const typed = [...document.querySelectorAll("main form[method=post] input, main form[method=post] select")].some((input) => input.type !== "hidden" && input.value !== (input.defaultValue ?? input.value));
      if (!typed) location.reload();
    });
    events.addEventListener("hello", (event) => { seen = event.lastEventId || seen; });
    const on = (name, then) => events.addEventListener(name, (event) => {
      seen = event.lastEventId || seen;
      then(JSON.parse(event.data));
    });
    on("scrap", onScrap);
    on("line", (line) => {
      const here = document.querySelector("#scrap[data-whole]");
      if (here && Number(here.dataset.scrap) === line.scrap_id) onLine(line, document.getElementById("log"));
    });
    on("store", (store) => {
      state.dataset.state = store.responde ? "on" : "off";
      state.lastElementChild.textContent = store.responde ? page.liveOn : page.storeGone;
    });
    on("connector", (line) => onLine(line, document.getElementById("reloads")));
    events.onerror = () => {
      say(false);
      // The browser tries again by itself, unless it was answered with something else than events.
      if (events.readyState === EventSource.CLOSED) {
        setTimeout(open, wait);
        wait = Math.min(wait * 2, 30000);
      }
    };
  };
  open();
  addEventListener("pagehide", () => events?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  // Over HTTP/1.1 a browser has six connections to a server, and each page that listens keeps one: those that nobody sees let go of
  // theirs, and are told what they missed when they are looked at again.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) events?.close();
    else open();
  });
}

// A route says whether it takes a period.
function periods() {
  const route = document.querySelector("select#rota");
  const period = document.getElementById("periodo");
  if (!route || !period) return;
  const set = () => {
    const takes = route.selectedOptions[0]?.dataset.period;
    period.hidden = takes === "nao";
    for (const input of period.querySelectorAll("input")) {
      input.disabled = takes === "nao";
      input.required = takes === "sim" && input.type === "date";
    }
  };
  route.addEventListener("change", set);
  set();
}

// Language and colours are chosen in the middle of a form, too: what was typed, but for secrets, is there again on the page that comes.
const TYPED = "atlas-digitado";
function typedFields() {
  const kinds = "input:not([type=hidden]):not([type=password]):not([type=checkbox]), select, textarea";
  return [...document.querySelectorAll("main form[method=post]")].flatMap((form) => [...form.querySelectorAll(kinds)]).filter((field) => field.name);
}
function keepTyped() {
  for (const form of document.querySelectorAll("form.preferences")) {
    form.addEventListener("submit", () => {
      const typed = typedFields().map((field) => [field.name, field.value]);
      sessionStorage.setItem(TYPED, JSON.stringify({ at: location.pathname, typed }));
    });
  }
  const kept = JSON.parse(sessionStorage.getItem(TYPED) ?? "null");
  sessionStorage.removeItem(TYPED);
  if (kept?.at !== location.pathname) return;
  const fields = typedFields();
  kept.typed.forEach(([name, value], at) => { if (fields[at]?.name === name && value !== "") fields[at].value = value; });
}

// The API, tried with this browser's session.
for (const form of document.querySelectorAll("form[data-try]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let path = form.dataset.path;
    const query = new URLSearchParams();
    for (const input of form.querySelectorAll("input[data-in]")) {
      if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value !== "") query.set(input.name, input.value);
    }
    const method = form.dataset.try.toUpperCase();
    const body = form.querySelector("[name=_body]")?.value;
    const headers = { "x-csrf-token": page.csrf };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (method === "POST") headers["idempotency-key"] = crypto.randomUUID?.() ?? String(Math.random());
    const shownAs = form.querySelector("pre");
    shownAs.hidden = false;
    const code = shownAs.firstElementChild;
    const stop = new AbortController();
    // Events and exports have no end: their beginning is shown.
    const timer = setTimeout(() => stop.abort(), 5000);
    let text = "";
    try {
      const answer = await fetch(`${prefix}/api/v1${path}${query.size ? `?${query}` : ""}`, { method, headers, body, signal: stop.signal });
      text = `${answer.status} ${answer.statusText}\n\n`;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || text.length > 100000) break;
        text += value;
        code.textContent = text;
      }
    } catch (error) {
      text += `\n${error.name}`;
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    code.textContent = text;
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = page.copied;
  });
}
keepTyped();
periods();
for (const figure of document.querySelectorAll("[data-plot]")) plot(figure);
atEnd(document);
cards(document);
addEventListener("resize", () => document.querySelectorAll("[data-plot]").forEach(draw));
document.querySelector("form[data-send]")?.requestSubmit();
searchOn();
live();

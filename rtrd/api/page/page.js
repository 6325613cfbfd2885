"use strict";
// Everything that comes from outside is put in as text, never as markup.
const $ = (id) => document.getElementById(id);
const VALIDITIES = ["valid", "not-found", "invalid", "unverified"];
const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 100;
const number = (n) => (typeof n === "number" ? n.toLocaleString("en") : "–");
const clock = (date) => date.toLocaleTimeString("en-GB");
const day = (date) => date.toLocaleDateString("sv-SE"); // as ISO 8601 has it
const whole = (text) => `${day(new Date(text))} ${clock(new Date(text))} ${zone()}`;

// The browser's time zone is that of all times here.
function zone() {
  const minutes = -new Date().getTimezoneOffset();
  const offset = `${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${minutes % 60 ? `:${Math.abs(minutes % 60)}` : ""}`;
  return minutes ? `UTC${offset}` : "UTC";
}

function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const badge = (validity, text) => el("span", { class: "badge", data: { v: validity } }, text ?? validity);
const mark = (validity) => el("span", { class: "mark", data: { v: validity }, "aria-hidden": "true" });
const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;

// How far the browser's clock is behind rtrd's, in milliseconds.
let skew = 0;
function setSkew(answer) {
  const behind = Date.parse(answer.headers.get("Date")) - Date.now();
  skew = Math.abs(behind) > 2000 ? behind : 0;
}
function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}
function ago(text) {
  const seconds = (Date.now() + skew - Date.parse(text)) / 1000;
  return seconds < -0.5 ? `in ${span(-seconds)}` : `${span(Math.max(0, seconds))} ago`;
}
const lasts = (text) => span(Math.max(0, (Date.now() + skew - Date.parse(text)) / 1000));
const since = (text) => el("time", { datetime: text, title: whole(text), data: { ago: text } }, ago(text));
const lasting = (text) => el("time", { datetime: text, title: `since ${whole(text)}`, data: { lasts: text } }, lasts(text));
setInterval(() => {
  for (const node of document.querySelectorAll("[data-ago]")) node.textContent = ago(node.dataset.ago);
  for (const node of document.querySelectorAll("[data-lasts]")) node.textContent = lasts(node.dataset.lasts);
}, 1000);

// ---- status

let status = null;

function total(validity) {
  return status.routers.reduce((sum, router) => sum + router.routes[validity], 0);
}

// What did not change is not drawn again: it may be marked or have the focus.
const drawn = new Map();
function draw(id, what, make) {
  const key = JSON.stringify(what);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  $(id).replaceChildren(...make());
}

function showStatus(now) {
  status = now;
  draw("host", status.host, () => [status.host]);
  draw("version", [status.version, status.started], () => [`rtrd ${status.version}, up for `, lasting(status.started)]);
  const { status: word, summary: text } = status.health;
  $("health").dataset.mood = word === "ok" && status.problems.length ? "fair" : MOODS[word];
  if ($("health-text").textContent !== text) $("health-text").textContent = text;
  document.title = `${status.host}: ${text} – rtrd`;
  $("problems").hidden = !status.problems.length;
  draw("problem-list", status.problems, () => status.problems.map(problem));
  showNumbers();
  draw("groups", [status.groups, status.active_group], () => status.groups.map(group));
  draw("routers", status.routers, () => (status.routers.length ? status.routers.map(router) : [el("p", { class: "none" }, "No router is connected.")]));
  showOthers();
}

const MOODS = { ok: "good", degraded: "fair", failed: "bad" };

function problem({ what, severity, since: first }) {
  const mood = severity === "critical" ? "bad" : "fair";
  const dot = el("span", { class: "dot", "aria-hidden": "true" });
  return el("li", {}, since(first), el("div", { data: { mood } }, dot, `${severity}: ${what}`));
}

function showNumbers() {
  const all = VALIDITIES.reduce((sum, validity) => sum + total(validity), 0);
  const share = (count) => (all ? `${((100 * count) / all).toFixed(count && count / all < 0.01 ? 2 : 1)} % of routes` : "no routes");
  const { ipv4, ipv6 } = status.vrps;
  const here = status.routers.filter((router) => router.attached).length, gone = status.routers.length - here;
  const waiting = status.routers.reduce((sum, one) => sum + one.outbox, 0);
  const wanted = [
    ["VRPs in force", ipv4 + ipv6, `${number(ipv4)} IPv4, ${number(ipv6)} IPv6`],
    ...(status.aspas ? [["ASPAs in force", status.aspas, "customer ASes"]] : []),
    ["Routes", all, `of ${plural(here, "router")}${gone ? `, ${gone} not attached` : ""}`],
    ...VALIDITIES.filter((validity) => validity !== "unverified" || total(validity)).map((validity) => [validity, total(validity), share(total(validity))]),
    ["Outbox", waiting, waiting ? "commands are waiting" : "nothing waits"],
  ];
  for (const [name] of wanted) if (!tiles.has(name)) tiles.set(name, tile(name));
  draw("numbers", wanted.map(([name]) => name), () => wanted.map(([name]) => tiles.get(name).node));
  for (const [name, value, text] of wanted) {
    const { count, part } = tiles.get(name);
    count.textContent = number(value);
    part.textContent = text;
  }
}

// A tile of a validity is a button for the list of its routes.
const tiles = new Map();
function tile(name) {
  const validity = VALIDITIES.includes(name);
  const count = el(validity ? "button" : "span", validity ? { type: "button", class: "count", title: `List the ${name} routes` } : {});
  const part = el("span", { class: "part" });
  if (validity) count.addEventListener("click", () => {
    $("wanted").value = "";
    choose(name);
    reveal("routes-title");
  });
  return { count, part, node: el("div", {}, el("dt", {}, validity ? mark(name) : null, name), el("dd", {}, count, part)) };
}

const STATUS = { ESTABLISHED: "in sync", CONNECTING: "connecting", ERROR: "failed", CLOSED: "not started" };

function group(one) {
  const active = one.name === status.active_group;
  return el("div", { class: active ? "group active" : "group" },
    el("h3", {}, one.name, el("span", {}, `preference ${one.preference}, ${STATUS[one.status] ?? one.status}`),
      active ? badge("valid", "in use") : null),
    el("table", {},
      el("thead", {}, el("tr", {}, ...["Cache", "Serial", "VRPs", "Last update", "Expires"].map((name, i) => el("th", { scope: "col", class: i ? "num" : null }, name)))),
      el("tbody", {}, ...one.servers.flatMap(server))));
}

function server(one) {
  const host = one.host.includes(":") ? `[${one.host}]` : one.host;
  const mood = one.state === "ESTABLISHED" ? "good" : one.error ? "bad" : one.state === "CLOSED" ? "none" : "fair";
  return [
    el("tr", {},
      el("td", { class: "cache mono", data: { mood } }, el("span", { class: "dot", "aria-hidden": "true" }), `${host}:${one.port}`),
      el("td", { class: "num", data: { label: "serial" } }, one.serial === null ? "–" : String(one.serial)),
      el("td", { class: "num", data: { label: "VRPs" } }, number(one.vrps)),
      el("td", { class: "num", data: { label: "update" } }, one.last_update ? since(one.last_update) : "never"),
      el("td", { class: "num", data: { label: "expires" } }, one.expires ? since(one.expires) : "–")),
    el("tr", { class: "more-of" }, el("td", { colspan: 5 },
      el("span", { class: "aside" }, `${one.transport}, ${one.state.toLowerCase().replaceAll("_", " ")}`,
        ...(one.since ? [one.state === "ESTABLISHED" ? " for " : "; not in sync for ", lasting(one.since)] : []),
        ...(one.next_attempt ? ["; next attempt ", since(one.next_attempt)] : [])),
      one.error ? el("span", { class: "why" }, one.error) : null)),
  ];
}

const SESSIONS = { true: ["good", "up"], false: ["fair", "down"], null: ["none", "not told"] };
function session({ up, up_since: first }, name) {
  const [mood, word] = SESSIONS[up];
  return el("div", { data: { mood } }, el("span", { class: "dot", "aria-hidden": "true" }), name ? el("span", { class: "mono" }, name, " ") : null, word,
    first ? el("span", { class: "aside" }, " for ", lasting(first)) : null);
}

function router(one) {
  if (!one.attached)
    return el("div", { class: "router" }, el("h3", {}, one.name),
      el("p", { class: "gone", data: { mood: "bad" } }, el("span", { class: "dot", "aria-hidden": "true" }), `not attached since ${whole(one.since)} (`, since(one.since), ")"));
  const columns = ["Neighbor", "Session", ...VALIDITIES];
  const rows = one.neighbors.map((each) =>
    el("tr", {}, el("td", { class: "mono" }, each.address),
      el("td", {}, session(each), ...(each.sessions ?? []).map((other) => session(other, other.local_address))),
      ...VALIDITIES.map((validity) => el("td", { class: "num", data: { label: validity } }, number(each.routes[validity] ?? 0)))));
  const version = one.exabgp ? `ExaBGP ${one.exabgp}` : "did not say its version";
  return el("div", { class: "router" },
    el("h3", {}, one.name),
    el("p", {}, `${version}; ${plural(one.outbox, "command")} wait; ${plural(one.refused, "command")} refused`),
    el("table", {},
      el("thead", {}, el("tr", {}, ...columns.map((name, i) => el("th", { scope: "col", class: i > 1 ? "num" : null }, name)))),
      el("tbody", {}, ...rows)));
}

function showOthers() {
  const rows = [];
  if (status.rtr_server) {
    const { listen, listen_tls, clients, serial } = status.rtr_server;
    const where = [...listen, ...(listen_tls ?? []).map((one) => `${one} by TLS`)];
    rows.push(["RTR server", `${where.join(", ") || "listens nowhere"}; ${plural(clients, "router")}, ${serial === null ? "no data yet" : `serial ${serial}`}`]);
  }
  if (status.bird) {
    const { socket, found, fault, last_audit } = status.bird;
    const text = found
      ? `${plural(found.routes.invalid, "invalid route")}; ${number(found.missing)} VRPs missing, ${number(found.extra)} too many; ${ago(last_audit)}`
      : "not audited yet";
    rows.push(["BIRD", `${socket}: ${text}${fault ? `; ${fault}` : ""}`]);
  }
  for (const one of status.routers) {
    const own = VALIDITIES.filter((validity) => one.local_routes?.[validity]);
    if (own.length) rows.push([`LocalRoute routes of ${one.name}`, own.map((validity) => `${number(one.local_routes[validity])} ${validity}`).join(", ")]);
  }
  for (const file of status.slurm ?? [])
    rows.push(["SLURM", `${file.path}: ${plural(file.filters, "filter")}, ${plural(file.assertions, "assertion")}${file.fault ? `; not as it stands: ${file.fault}` : ""}`]);
  if (status.snapshot) rows.push(["Snapshot", `${status.snapshot.age === null ? "none yet" : `${status.snapshot.age} s old`}${status.snapshot.fault ? `; ${status.snapshot.fault}` : ""}`]);
  const left = Object.entries(status.vrps_left_out ?? {}).filter(([, count]) => count);
  if (left.length) rows.push(["VRPs left out", left.map(([why, count]) => `${why} ${number(count)}`).join(", ")]);
  $("also").hidden = !rows.length;
  $("others").replaceChildren(...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
}

// ---- the plots

let every = 15, kept = 1440, samples = [], picked = null;

async function loadTrend() {
  const response = await fetch("trend");
  setSkew(response);
  const answer = await response.json();
  every = answer.every;
  samples = answer.samples.map((one) => Object.fromEntries(answer.fields.map((name, i) => [name, one[i]])));
  showPlots();
}
function addSample() {
  if (!status || !live) return;
  samples.push({ time: Date.now() / 1000, ...Object.fromEntries(VALIDITIES.map((validity) => [validity, total(validity)])) });
  samples.splice(0, samples.length - kept);
  showPlots();
}

const plots = new Map();

function plot(validity) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", tabindex: "0" })) svg.setAttribute(key, value);
  const part = (name, kind) => {
    const node = document.createElementNS(SVG, name);
    node.setAttribute("class", kind);
    svg.append(node);
    return node;
  };
  const base = part("line", "base"), area = part("path", "area"), stroke = part("path", "stroke"), hair = part("line", "hair");
  for (const [key, value] of Object.entries({ x1: 0, x2: 1000, y1: 100, y2: 100 })) base.setAttribute(key, value);
  const read = el("span", { class: "read" }), low = el("span"), high = el("span");
  const node = el("div", { class: "plot", data: { v: validity } },
    el("div", { class: "legend" }, el("span", {}, mark(validity), validity), read), svg, el("div", { class: "scale" }, low, high));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    pick(nearest((event.clientX - box.left) / box.width));
  });
  svg.addEventListener("pointerleave", () => pick(null));
  svg.addEventListener("blur", () => pick(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -samples.length, End: samples.length }[event.key];
    if (event.key === "Escape") pick(null);
    if (step === undefined) return;
    event.preventDefault();
    pick(Math.min(samples.length - 1, Math.max(0, (picked ?? samples.length - 1) + step)));
  });
  return { node, svg, area, stroke, hair, read, low, high };
}

const range = () => [samples[0].time, Math.max(samples.at(-1).time, samples[0].time + 1)];
function nearest(share) {
  if (!samples.length) return null;
  const [from, to] = range(), at = from + share * (to - from);
  let best = 0;
  samples.forEach((one, i) => { if (Math.abs(one.time - at) < Math.abs(samples[best].time - at)) best = i; });
  return best;
}
function pick(i) {
  picked = i;
  showPlots();
}

function showPlots() {
  if (!samples.length) return;
  const wanted = VALIDITIES.filter((validity) => validity !== "unverified" || samples.some((one) => one[validity]));
  for (const validity of wanted) if (!plots.has(validity)) plots.set(validity, plot(validity));
  const nodes = wanted.map((validity) => plots.get(validity).node);
  if ($("plots").children.length !== nodes.length) $("plots").replaceChildren(...nodes);
  const [from, to] = range();
  const minutes = (to - from) / 60;
  const span = minutes < 1.5 ? "since a moment ago" : minutes < 90 ? `the last ${Math.round(minutes)} minutes` : `the last ${(minutes / 60).toFixed(1)} hours`;
  $("span").textContent = span;
  for (const validity of wanted) {
    const { svg, area, stroke, hair, read, low, high } = plots.get(validity);
    const values = samples.map((one) => one[validity]);
    const least = Math.min(...values), most = Math.max(...values);
    const room = Math.max(1, most - least);
    const x = (one) => (1000 * (one.time - from)) / (to - from);
    const y = (value) => (most === least ? 50 : 92 - (84 * (value - least)) / room);
    // A count holds until the next one: steps, not slopes.
    let line = `M0 ${y(values[0]).toFixed(1)}`;
    samples.forEach((one, i) => { if (i) line += `H${x(one).toFixed(1)}V${y(values[i]).toFixed(1)}`; });
    if (samples.length === 1) line += "H1000";
    stroke.setAttribute("d", line);
    area.setAttribute("d", `${line}V100H0Z`);
    const shown = picked === null ? samples.at(-1) : samples[Math.min(picked, samples.length - 1)];
    hair.style.visibility = picked === null ? "hidden" : "visible";
    for (const [key, value] of Object.entries({ x1: x(shown), x2: x(shown), y1: 0, y2: 100 })) hair.setAttribute(key, value);
    read.replaceChildren(el("b", {}, number(shown[validity])), picked === null ? "" : ` at ${clock(new Date(shown.time * 1000))}`);
    low.textContent = least === most ? "unchanged" : `low ${number(least)}`;
    high.textContent = least === most ? "" : `high ${number(most)}`;
    svg.setAttribute("aria-label", `${validity}: ${number(shown[validity])} ${picked === null ? "now" : `at ${clock(new Date(shown.time * 1000))}`}; between ${number(least)} and ${number(most)} in ${span}`);
  }
}

// ---- what happened

const events = [];
let show = "route";
const STATES = ["active", "group", "cache", "guard"];

function take(event, fresh) {
  events.unshift(event);
  if (events.length > 1000) events.pop();
  add($("turns"), event, fresh && STATES.includes(event.kind), STATES.includes(event.kind));
  add($("changes"), event, fresh, show === "all" || event.kind === show || event.kind === "lost");
}
function add(list, event, fresh, wanted) {
  if (!wanted) return;
  list.querySelector(".none")?.remove();
  list.prepend(entry(event, fresh));
  while (list.children.length > SHOWN) list.lastChild.remove();
}
const moment = (date) => el("time", { datetime: date.toISOString(), title: whole(date) }, day(date) === day(new Date()) ? "" : `${day(date)} `, clock(date));
const origin = (asn) => (asn === null ? "no origin AS" : `AS${asn}`);
const named = (validity, without) => (validity ? badge(validity) : badge("none", without));
function turn(was, validity) {
  if (was === validity) return badge(validity);
  return el("span", { class: "turn" }, named(was, "new"), el("span", { class: "arrow", "aria-label": "became" }, "→"), named(validity, "gone"));
}
function entry(event, fresh) {
  const date = event.time ? new Date(event.time) : new Date();
  const time = moment(date);
  if (event.kind !== "route") return el("li", { class: fresh ? "fresh" : null }, time, el("div", { class: "what" }, el("span", {}, event.text)));
  const reason = event.text.slice(event.text.indexOf(`${event.decision}: `) + event.decision.length + 2);
  return el("li", { class: fresh ? "fresh" : null }, time, el("div", {},
    el("div", { class: "what" }, past(event.prefix), el("span", {}, `${origin(event.origin_as)} from ${event.neighbor}`),
      turn(event.was, event.validity), el("span", { class: "aside" }, event.decision)),
    el("div", { class: "reason" }, reason)));
}
function showEvents() {
  const wanted = events.filter((event) => show === "all" || event.kind === show || event.kind === "lost").slice(0, SHOWN);
  const none = el("li", { class: "none" }, "Nothing has changed since rtrd started, or it is forgotten.");
  $("changes").replaceChildren(...(wanted.length ? wanted.map((event) => entry(event, false)) : [none]));
  if (!$("turns").children.length) $("turns").replaceChildren(el("li", { class: "none" }, "Nothing yet."));
}
for (const button of document.querySelectorAll("[data-show]"))
  button.addEventListener("click", () => {
    show = button.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    showEvents();
  });

// ---- the list of routes

// Gives what rtrd answers, or why not.
async function ask(what) {
  try {
    return await (await fetch(what)).json();
  } catch {
    return { error: "rtrd does not answer." };
  }
}
function reveal(id) {
  $(id).scrollIntoView({ block: "start" });
  $(id).focus({ preventScroll: true });
}

const PAGE = 50, MOST = 1000;
const LISTS = { path: ["aspa", "invalid", "path-invalid"], leak: ["leak", "yes", "leaked"] };
let listed = "", rows = PAGE, asking = 0;

function choose(validity) {
  listed = validity;
  for (const button of document.querySelectorAll("[data-list]")) button.setAttribute("aria-pressed", String(button.dataset.list === validity));
  rows = PAGE;
  list();
}
async function list() {
  const query = new URLSearchParams({ rows }), wanted = $("wanted").value.trim();
  const [name, value, said] = LISTS[listed] ?? (listed ? ["validity", listed, listed] : []);
  if (name) query.set(name, value);
  if (wanted) query.set(/^((as)?\d+|none)$/i.test(wanted) ? "origin" : wanted.includes("/") ? "prefix" : "address", wanted.toLowerCase());
  const mine = ++asking;
  $("found").textContent = "Asking…";
  const answer = await ask(`routes?${query}`);
  if (mine !== asking) return;
  $("more").hidden = !answer.more || rows >= MOST;
  if (answer.error) {
    $("found").replaceChildren(el("span", { class: "why" }, answer.error));
    $("list").replaceChildren();
    return;
  }
  const { routes, more } = answer, kind = said ? `${said} route` : "route", where = wanted ? ` for ${wanted}` : "";
  $("found").textContent = routes.length
    ? `${plural(routes.length + more, kind)}${where}${more ? `, the first ${number(routes.length)}` : ""}, at ${clock(new Date())}`
    : `There is no ${kind}${where}, at ${clock(new Date())}.`;
  if (more && rows >= MOST) $("found").textContent += `; ${number(more)} more are not shown: search, or run rtrd routes`;
  $("list").replaceChildren(...(routes.length ? [table(routes)] : []));
}
const REASONS = { as: "no VRP has this AS", length: "longer than its VRPs allow" };
function table(routes) {
  const several = status !== null && status.routers.length > 1;
  const columns = ["Prefix", "Origin", "Neighbor", "Validity", "Decision", "Since"];
  const row = (one) =>
    el("tr", {}, el("td", {}, past(one.prefix), one.path_id === null ? null : el("span", { class: "aside" }, ` path ${one.path_id}`)),
      el("td", {}, origin(one.origin_as)),
      el("td", { data: { label: "from" } }, el("span", { class: "mono" }, one.neighbor || "unknown"), several ? el("span", { class: "aside" }, ` at ${one.router}`) : null),
      el("td", {}, badge(one.validity), one.reason ? el("span", { class: "aside" }, ` ${REASONS[one.reason] ?? one.reason}`) : null,
        ...pathOf(one)),
      el("td", {}, one.decision),
      el("td", { data: { label: "since" } }, one.since ? since(one.since) : "–"));
  return el("table", { class: "routes" },
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...routes.map(row)));
}
// What ASPAs and Only to Customer make of a path, with a button that draws it.
function pathOf(one) {
  if (one.aspa === null && !one.leak) return [];
  const words = [one.leak ? "leak" : null, one.aspa ? `path ${one.aspa}` : null].filter(Boolean).join(", ");
  const mood = one.leak ? "invalid" : PATH_MARKS[one.aspa];
  const draws = one.as_path !== null && one.local_role !== null;
  const shown = el(draws ? "button" : "span", { class: "badge path", data: { v: mood }, ...(draws ? { type: "button", title: "Draw the path" } : {}) }, words);
  if (draws) shown.addEventListener("click", () => {
    $("asns").value = one.as_path;
    $("role").value = one.local_role;
    drawPath(one.neighbor_as);
    reveal("path-title");
  });
  return [" ", shown, one.path_reason ? el("span", { class: "why" }, one.path_reason) : null];
}
for (const button of document.querySelectorAll("[data-list]")) button.addEventListener("click", () => choose(button.dataset.list));
$("search").addEventListener("submit", (submit) => {
  submit.preventDefault();
  choose(listed);
});
$("more").addEventListener("click", () => {
  rows = Math.min(MOST, rows * 4);
  list();
});

// ---- the history of a prefix

let oldest = null, shownPast = "", askingPast = 0;

// A prefix that leads to its history.
function past(prefix) {
  const button = el("button", { type: "button", class: "link mono", title: `History of ${prefix}` }, prefix);
  button.addEventListener("click", () => {
    $("past-prefix").value = prefix;
    showPast(false);
    reveal("history-title");
  });
  return button;
}
async function showPast(older) {
  if (!older) shownPast = $("past-prefix").value.trim();
  const query = new URLSearchParams({ [shownPast.includes("/") ? "prefix" : "address"]: shownPast, rows: PAGE });
  if (older) query.set("before", oldest);
  const mine = ++askingPast;
  $("past-said").textContent = "Asking…";
  const answer = await ask(`history?${query}`);
  if (mine !== askingPast) return;
  if (!older) $("past-list").replaceChildren();
  $("older").hidden = !answer.more;
  if (answer.error) {
    $("past-said").replaceChildren(el("span", { class: "why" }, answer.error));
    return;
  }
  $("past-list").append(...answer.history.map(became));
  oldest = answer.history.at(-1)?.id;
  const known = answer.since ? ` since ${whole(answer.since)}` : "";
  const some = $("past-list").children.length;
  const said = [some ? `${plural(some + answer.more, "change")} of routes${answer.more ? `, the last ${number(some)}` : ""}` : `No change of a route is known of ${shownPast}${known}`];
  if (answer.left_out) said.push(`${plural(answer.left_out, "change")} of any route came too fast to be kept${known}`);
  if (answer.others_left_out) said.push(`${plural(answer.others_left_out, "route")} that came or went and were not invalid were too many to be kept${known}`);
  if (answer.fault) said.push(answer.fault);
  else if (answer.where === "memory") said.push("it is only in memory, and ends with rtrd, without state in the configuration");
  $("past-said").textContent = `${said.join("; ")}.`;
}
function became(one) {
  const { was, validity, decision_was: did, decision } = one;
  const decided = did !== null && decision !== null && did !== decision ? `${did} → ${decision}` : decision ?? did;
  return el("li", {}, moment(new Date(one.time)), el("div", {},
    el("div", { class: "what" }, el("span", { class: "mono" }, one.prefix),
      el("span", {}, `${origin(one.origin_as)} from ${one.neighbor ?? "an unknown neighbor"}${status !== null && status.routers.length > 1 ? ` at ${one.router}` : ""}`),
      turn(was, validity), decided ? el("span", { class: "aside" }, decided) : null),
    el("div", { class: "reason" }, one.why)));
}
$("past").addEventListener("submit", (submit) => {
  submit.preventDefault();
  showPast(false);
});
$("older").addEventListener("click", () => showPast(true));

// ---- the box

$("validate").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const query = new URLSearchParams({ asn: $("asn").value.trim(), prefix: $("prefix").value.trim() });
  const answer = await ask(`validity?${query}`);
  $("verdict").replaceChildren(...(answer.error ? [el("p", { class: "why" }, answer.error)] : verdict(answer.validated_route)));
});
function verdict({ route, validity }) {
  const how = { matched: "matches", unmatched_as: "another AS", unmatched_length: "allows no prefix this long" };
  const vrps = Object.entries(how).flatMap(([key, words]) => validity.VRPs[key].map((vrp) =>
    el("li", {}, el("span", { class: "mono" }, `${vrp.prefix}-${vrp.max_length}`), el("span", {}, vrp.asn), el("span", {}, words))));
  return [el("div", {}, badge(validity.state), " ", el("span", { class: "mono" }, `${route.prefix} ${route.origin_asn}`)),
    el("p", {}, validity.description), vrps.length ? el("ul", { "aria-label": "Covering VRPs" }, ...vrps) : null].filter(Boolean);
}

$("providers").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const answer = await ask(`aspas?${new URLSearchParams({ asn: $("customer").value.trim() })}`);
  $("named").replaceChildren(...(answer.error ? [el("p", { class: "why" }, answer.error)] : aspa(answer)));
});
const MOST_ASNS = 100;
function asnList(asns) {
  if (asns.length === 1 && !asns[0]) return "none (AS0)";
  const more = asns.length > MOST_ASNS ? ` and ${number(asns.length - MOST_ASNS)} more` : "";
  return asns.slice(0, MOST_ASNS).map((asn) => `AS${asn}`).join(", ") + more;
}
function aspa({ asn, providers, caches, filtered, asserted, customers }) {
  const said = caches.map((one) => [one.cache, asnList(one.providers)]);
  if (filtered) said.push(["SLURM", "what caches say is filtered"]);
  if (asserted) said.push(["SLURM", `asserts ${asnList(asserted)}`]);
  const lines = said.map(([who, what]) => el("li", {}, el("span", { class: "mono" }, who), el("span", {}, what)));
  return [el("p", {}, providers ? `AS${asn}: providers ${asnList(providers)}` : `AS${asn} has no ASPA in force`),
    lines.length ? el("ul", { "aria-label": "Who says so" }, ...lines) : null,
    el("p", {}, customers.length ? `AS${asn} is a provider of ${asnList(customers)}` : `No ASPA names AS${asn} as a provider`)].filter(Boolean);
}

// ---- a path, hop by hop

const PATH_MARKS = { valid: "valid", invalid: "invalid", unknown: "not-found" };
const ROLES = { customer: "customer", peer: "peer", provider: "provider", "rs-client": "client (it is a route server)", rs: "route server" };
$("role").append(...Object.entries(ROLES).map(([role, words]) => el("option", { value: role }, words)));

async function drawPath(neighborAs) {
  const query = new URLSearchParams({ path: $("asns").value.trim(), "local-role": $("role").value });
  if (neighborAs !== null) query.set("neighbor-as", neighborAs);
  const answer = await ask(`api/v1/path?${query}`);
  $("drawn").replaceChildren(...(answer.error ? [el("p", { class: "why" }, answer.error)] : path(answer)));
}
const ATTESTED = { provider: ["valid", "names it as a provider"], "not-provider": ["invalid", "does not name it as a provider"], none: ["not-found", "has no ASPA"] };

// From the origin down to us. Between two ASes stands what each of them says of the other, as far as it was asked.
function path({ path: asns, outcome, procedure, local_role: role, reason, hops }) {
  const half = procedure === "downstream" ? hops.length / 2 : hops.length;
  const up = hops.slice(0, half), down = hops.slice(half).reverse();
  const ends = outcome === "valid" ? [] : [up, hops.slice(half)].map((ramp) =>
    ramp.find(({ attestation }) => (outcome === "invalid" ? attestation === "not-provider" : attestation !== "provider")));
  const nodes = [...asns].reverse().filter((asn, i, all) => asn !== all[i - 1]);
  const said = (hop, arrow) => {
    const [mood, words] = ATTESTED[hop.attestation];
    return el("span", { class: ends.includes(hop) ? "hop decides" : "hop", data: { v: mood } },
      el("span", { class: "arrow", "aria-hidden": "true" }, arrow), ` AS${hop.customer} ${words}`);
  };
  const rows = nodes.flatMap((asn, i) => [
    el("li", { class: "as" }, el("span", { class: "mono" }, `AS${asn}`),
      el("span", { class: "aside" }, [i ? null : " the origin", i === nodes.length - 1 ? " our neighbor" : null].filter(Boolean).join(","))),
    i < half && up.length ? el("li", { class: "between" }, said(up[i], "↓"), down.length ? said(down[i], "↑") : null) : null,
  ]);
  return [el("div", {}, badge(PATH_MARKS[outcome], outcome), " ", el("span", { class: "aside" }, `${procedure} procedure`)),
    el("p", {}, reason),
    el("ol", { class: "hops", "aria-label": "From the origin to us" }, ...rows.filter(Boolean),
      el("li", { class: "as" }, el("span", {}, "us"), el("span", { class: "aside" }, ` its ${ROLES[role]}`)))];
}
$("check").addEventListener("submit", (submit) => {
  submit.preventDefault();
  drawPath(null);
});

// ---- live

let live = false;

function connect() {
  const source = new EventSource("live?last=400");
  let quietUntil = 0;
  source.onopen = () => {
    // What comes first is what was: it is shown again as a whole.
    events.length = 0;
    $("turns").replaceChildren();
    quietUntil = Date.now() + 1000;
    setLive(true);
    loadTrend();
    showEvents();
  };
  source.onmessage = (message) => take(JSON.parse(message.data), Date.now() > quietUntil);
  source.addEventListener("status", (message) => showStatus(JSON.parse(message.data)));
  source.onerror = () => {
    setLive(false);
    // A browser gives up for good when the answer was an error, as while a daemon starts.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}
function setLive(on) {
  if (on !== live) $("live-text").textContent = on ? "live" : `no connection since ${clock(new Date())}`;
  live = on;
  $("live").dataset.on = on ? "yes" : "no";
}
$("zone").textContent = `times: ${Intl.DateTimeFormat().resolvedOptions().timeZone}${zone() === Intl.DateTimeFormat().resolvedOptions().timeZone ? "" : ` (${zone()})`}`;
setInterval(addSample, every * 1000);
connect();

"use strict";
// Everything that comes from outside is put in as text, never as markup.
const $ = (id) => document.getElementById(id);
const VALIDITIES = ["valid", "not-found", "invalid", "unverified"];
const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 100;
const number = (n) => (typeof n === "number" ? n.toLocaleString("en") : "–");
const clock = (date) => date.toLocaleTimeString("en-GB");

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

function ago(text) {
  const seconds = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}
function since(text) {
  return el("time", { datetime: text, title: text, data: { ago: text } }, ago(text));
}
setInterval(() => {
  for (const node of document.querySelectorAll("[data-ago]")) node.textContent = ago(node.dataset.ago);
}, 1000);

// ---- status

let status = null;

function total(validity) {
  return status.routers.reduce((sum, router) => sum + router.routes[validity], 0);
}

function showStatus(now) {
  status = now;
  $("version").textContent = status.version;
  const { status: word, summary: text } = status.health;
  $("health").dataset.mood = word === "ok" && status.problems.length ? "fair" : MOODS[word];
  if ($("health-text").textContent !== text) $("health-text").textContent = text;
  document.title = `rtrd: ${text}`;
  $("problems").hidden = !status.problems.length;
  $("problem-list").replaceChildren(...status.problems.map(problem));
  showNumbers();
  $("groups").replaceChildren(...status.groups.map(group));
  const routers = status.routers.map(router);
  $("routers").replaceChildren(...(routers.length ? routers : [el("p", { class: "none" }, "No router is connected.")]));
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
  const tile = (name, value, part, validity) =>
    el("div", {}, el("dt", {}, validity ? mark(validity) : null, name), el("dd", {}, number(value), el("span", { class: "part" }, part)));
  const { ipv4, ipv6 } = status.vrps;
  const tiles = [
    tile("VRPs in force", ipv4 + ipv6, `${number(ipv4)} IPv4, ${number(ipv6)} IPv6`),
    tile("Routes", all, `of ${plural(status.routers.length, "router")}`),
  ];
  for (const validity of VALIDITIES) {
    const count = total(validity);
    if (validity !== "unverified" || count) tiles.push(tile(validity, count, share(count), validity));
  }
  const waiting = status.routers.reduce((sum, one) => sum + one.outbox, 0);
  tiles.push(tile("Outbox", waiting, waiting ? "commands are waiting" : "nothing waits"));
  $("numbers").replaceChildren(...tiles);
}

const STATUS = { ESTABLISHED: "in sync", CONNECTING: "connecting", ERROR: "failed", CLOSED: "not started" };

function group(one) {
  const active = one.name === status.active_group;
  return el("div", { class: active ? "group active" : "group" },
    el("h3", {}, one.name, el("span", {}, `preference ${one.preference}, ${STATUS[one.status] ?? one.status}`),
      active ? badge("valid", "in force") : null),
    el("table", {},
      el("thead", {}, el("tr", {}, ...["Cache", "Serial", "VRPs", "Last update"].map((name, i) => el("th", { scope: "col", class: i ? "num" : null }, name)))),
      el("tbody", {}, ...one.servers.map(server))));
}

function server(one) {
  const host = one.host.includes(":") ? `[${one.host}]` : one.host;
  const mood = one.state === "ESTABLISHED" ? "good" : one.error ? "bad" : one.state === "CLOSED" ? "none" : "fair";
  return el("tr", {},
    el("td", { data: { mood } }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "mono" }, `${host}:${one.port}`), " ",
      el("span", { class: "aside" }, `${one.transport}, ${one.state.toLowerCase().replaceAll("_", " ")}`),
      one.error ? el("span", { class: "why" }, one.error) : null),
    el("td", { class: "num", data: { label: "serial" } }, one.serial === null ? "–" : String(one.serial)),
    el("td", { class: "num", data: { label: "VRPs" } }, number(one.vrps)),
    el("td", { class: "num", data: { label: "update" } }, one.last_update ? since(one.last_update) : "never"));
}

function router(one) {
  if (!one.attached) return el("div", { class: "router" }, el("h3", {}, one.name), el("p", {}, "not attached; left ", since(one.since)));
  const columns = ["Neighbor", "Session", ...VALIDITIES];
  const rows = one.neighbors.map((each) =>
    el("tr", {}, el("td", { class: "mono" }, each.address),
      el("td", { data: { mood: each.up ? "good" : each.up === null ? "none" : "fair" } }, el("span", { class: "dot", "aria-hidden": "true" }), each.up ? "up" : each.up === null ? "not told" : "down",
        each.up_since ? el("span", { class: "aside" }, " · ", since(each.up_since)) : null),
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

async function loadHistory() {
  const answer = await (await fetch("trend")).json();
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
function entry(event, fresh) {
  const date = event.time ? new Date(event.time) : new Date();
  const time = el("time", { datetime: date.toISOString(), title: date.toString() }, clock(date));
  if (event.kind !== "route") return el("li", { class: fresh ? "fresh" : null }, time, el("div", { class: "what" }, el("span", {}, event.text)));
  const origin = event.origin_as === null ? "no origin AS" : `AS${event.origin_as}`;
  const reason = event.text.slice(event.text.indexOf(`${event.decision}: `) + event.decision.length + 2);
  return el("li", { class: fresh ? "fresh" : null }, time, el("div", {},
    el("div", { class: "what" }, el("span", { class: "mono" }, event.prefix), el("span", {}, `${origin} from ${event.neighbor}`),
      event.was ? badge(event.was) : badge("none", "new"), el("span", { class: "arrow", "aria-label": "became" }, "→"), badge(event.validity), el("span", { class: "aside" }, event.decision)),
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

// ---- the box

$("validate").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const query = new URLSearchParams({ asn: $("asn").value.trim(), prefix: $("prefix").value.trim() });
  let answer;
  try {
    answer = await (await fetch(`validity?${query}`)).json();
  } catch {
    answer = { error: "rtrd does not answer." };
  }
  $("verdict").replaceChildren(...(answer.error ? [el("p", { class: "why" }, answer.error)] : verdict(answer.validated_route)));
});
function verdict({ route, validity }) {
  const how = { matched: "matches", unmatched_as: "another AS", unmatched_length: "allows no prefix this long" };
  const vrps = Object.entries(how).flatMap(([key, words]) => validity.VRPs[key].map((vrp) =>
    el("li", {}, el("span", { class: "mono" }, `${vrp.prefix}-${vrp.max_length}`), el("span", {}, vrp.asn), el("span", {}, words))));
  return [el("div", {}, badge(validity.state), " ", el("span", { class: "mono" }, `${route.prefix} ${route.origin_asn}`)),
    el("p", {}, validity.description), vrps.length ? el("ul", { "aria-label": "Covering VRPs" }, ...vrps) : null].filter(Boolean);
}

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
    loadHistory();
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
setInterval(addSample, every * 1000);
connect();

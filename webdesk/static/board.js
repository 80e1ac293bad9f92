// The board, live: server-sent events carry the whole state, so a lost message costs nothing.
// Figures are grey as soon as the connection is lost or what they say is older than `staleAfter`.
"use strict";
(() => {
  const STATES = ["available", "ringing", "talking", "wrap_up", "paused"];
  const GLYPHS = { good: "✓", watch: "▼", alarm: "▲", quiet: "○" };
  const SUMMARY_EVERY_MS = 30000;
  const POLL_EVERY_MS = 5000;
  const REOPEN_EVERY_POLLS = 6;
  const staleAfter = Number(document.body.dataset.staleAfter);
  const texts = document.getElementById("texts").dataset;
  const board = document.getElementById("board");
  const badge = document.getElementById("badge");
  const pause = document.getElementById("pause");
  const rows = document.getElementById("rows");
  const f = formats;

  let source = null;        // the EventSource
  let connected = false;
  let lostSince = null;     // Date of the loss
  let paused = false;
  let state = null;         // the latest message
  let shown = null;         // the message on the screen; another one while paused
  let sign = null;          // the latest sign of freshness: {at, age_s, received}
  let frozen = null;        // the sign that goes with what is on the screen while paused
  let summarised = 0;
  let pollTimer = null;
  let polls = 0;

  const set = (element, text) => {
    if (element && element.textContent !== String(text)) element.textContent = text;
  };
  const named = (root, name) => root.querySelector(`[data-k="${name}"]`);
  const put = (name, text) => set(named(board, name), text);
  const current = () => paused ? frozen : sign;
  const secondsSince = (moment) => (performance.now() - moment) / 1000;
  const age = () => current().age_s + secondsSince(current().received);

  // --- one row of the table ------------------------------------------------------------------------
  function classed(element, status) {
    element.classList.remove("good", "watch", "alarm", "quiet");
    element.classList.add(status);
  }

  function worked(hour, target) {
    return f.fill(hour.offered ? texts.levelWorked : texts.nothingOffered, {
      within: f.whole(hour.answered_within), offered: f.whole(hour.offered),
      level: f.share(hour.service_level.of_offered), seconds: target.answer_within_s,
    });
  }

  function fillRow(row, group, target) {
    const hour = group.last_hour;
    const level = hour.service_level.of_offered;
    classed(row, group.status);
    set(named(row, "name"), group.name);
    named(row, "unknown").hidden = group.known;
    set(named(row, "waiting"), f.whole(group.waiting));
    set(named(row, "longest"), group.waiting ? f.duration(group.longest_wait_s) : "–");
    classed(named(row, "status"), group.status);
    set(row.querySelector(".glyph"), GLYPHS[group.status]);
    set(named(row, "status_text"), texts[group.reason]);
    set(named(row, "level"), f.share(level));
    named(row, "fill").setAttribute("width", Math.round((level ?? 0) * 100));
    set(named(row, "level_worked"), worked(hour, target));
    set(named(row, "offered"), f.whole(hour.offered));
    set(named(row, "abandonment"), f.share(hour.abandonment));
    set(named(row, "agents"), `${f.whole(group.agents.available ?? 0)} / ${f.whole(group.talking)}`);
  }

  function newRow(group) {
    const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
    row.dataset.group = group.answer_group;
    const tip = row.querySelector(".tip");
    tip.id = `tip-${group.answer_group.trim().split(/\s+/).join("-")}`;
    row.querySelector(".figure").setAttribute("aria-describedby", tip.id);
    return row;
  }

  function renderGroups(message) {
    const busy = message.groups.filter((g) => g.busy);
    const old = new Map([...rows.children].map((row) => [row.dataset.group, row]));
    busy.forEach((group, place) => {
      const row = old.get(group.answer_group) ?? newRow(group);
      old.delete(group.answer_group);
      fillRow(row, group, message.target);
      if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
    });
    old.forEach((row) => row.remove());
    const calm = message.groups.filter((g) => !g.busy);
    document.getElementById("no-rows").hidden = busy.length > 0;
    document.getElementById("calm").hidden = calm.length === 0;
    set(document.getElementById("calm-count"), f.fill(texts.calm, { count: calm.length }));
    set(document.getElementById("calm-names"), calm.map((g) => g.name).join(", "));
  }

  // --- the tiles -----------------------------------------------------------------------------------
  function renderTotals(message) {
    const { total, target } = message;
    const hour = total.last_hour;
    const level = hour.service_level.of_offered;
    const tile = (name) => board.querySelector(`[data-tile="${name}"]`);
    classed(tile("waiting"), total.waiting_status);
    put("total.waiting", f.whole(total.waiting));
    put("total.waiting_note", total.groups_waiting === 1 ? texts.waitingNoteOne
      : f.fill(total.groups_waiting ? texts.waitingNote : texts.nobodyWaits, { groups: total.groups_waiting }));
    classed(tile("longest"), total.longest_status);
    put("total.longest", total.waiting ? f.duration(total.longest_wait_s) : "–");
    put("total.longest_note", total.waiting
      ? f.fill(texts.longestNote, { group: total.longest_group, since: f.clock(total.longest_since) })
      : texts.nobodyWaits);
    classed(tile("level"), total.level_status);
    put("total.level", f.share(level));
    put("total.level_worked", `${texts.levelName} ${worked(hour, target)} ${texts.levelFormula}`);
    put("total.level_glyph", GLYPHS[total.level_status]);
    put("total.level_note", f.fill(texts[`level_${total.level_status}`], { goal: f.share(target.share),
      seconds: target.answer_within_s }));
    tile("level").querySelector(".fill").setAttribute("width", Math.round((level ?? 0) * 100));
    put("total.abandonment", f.share(hour.abandonment));
    put("total.abandonment_worked", `${texts.abandonmentName} ${f.fill(hour.offered ? texts.abandonmentWorked : texts.nothingOffered, {
      abandoned: f.whole(hour.abandoned), offered: f.whole(hour.offered), share: f.share(hour.abandonment) })
    } ${texts.abandonmentFormula}`);
    put("total.abandonment_note", f.fill(texts.abandonmentNote, {
      abandoned: f.whole(hour.abandoned), offered: f.whole(hour.offered) }));
  }

  function renderAgents(agents) {
    const signedOn = STATES.reduce((sum, name) => sum + (agents[name] ?? 0), 0);
    let x = 0;
    for (const name of STATES) {
      const width = signedOn ? 100 * (agents[name] ?? 0) / signedOn : 0;
      const part = document.querySelector(`#staff .${name}`);
      part.setAttribute("x", x.toFixed(2));
      part.setAttribute("width", width.toFixed(2));
      x += width;
      put(`agents.${name}`, f.whole(agents[name] ?? 0));
    }
    put("agents.signed_on", f.whole(signedOn));
  }

  // --- the chart and its table ---------------------------------------------------------------------
  function renderSeries(message) {
    const hour = message.total.last_hour;
    const most = Math.max(0, ...message.series.map((p) => p.waiting));
    chart.show(message.series, f.fill(texts.chart, { most: f.whole(most), offered: f.whole(hour.offered),
      abandoned: f.whole(hour.abandoned) }));
    const body = document.getElementById("series");
    body.replaceChildren(...message.table.map((point) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = f.minute(point.at);
      row.append(head, ...["waiting", "offered", "answered", "abandoned"].map((name) => {
        const cell = document.createElement("td");
        cell.className = "number";
        cell.textContent = f.whole(point[name]);
        return cell;
      }));
      return row;
    }));
  }

  function summaryOf(message) {
    const { total } = message;
    return f.fill(total.waiting ? texts.summary : texts.summaryCalm, {
      waiting: f.whole(total.waiting), groups: total.groups_waiting, group: total.longest_group,
      longest: f.duration(total.longest_wait_s), level: f.share(total.last_hour.service_level.of_offered),
    });
  }

  function renderIsland(island) {
    const notice = document.getElementById("island");
    notice.hidden = !island;
    set(notice, island ? f.fill(island.cut_off ? texts.island : texts.islandBack, {
      since: f.clock(island.since), kept: f.whole(island.kept) }) : "");
  }

  function renderReviews(count) {
    document.getElementById("reviews-box").hidden = !count;
    set(document.getElementById("reviews"), count
      ? f.fill(count === 1 ? texts.reviewsOne : texts.reviews, { count: f.whole(count) }) : "");
  }

  function summarise(text, atOnce) {
    const now = performance.now();
    if (!atOnce && now - summarised < SUMMARY_EVERY_MS) return;
    summarised = now;
    set(document.getElementById("summary"), text);
  }

  function render() {
    shown = state;
    renderTotals(state);
    renderGroups(state);
    renderAgents(state.agents);
    renderSeries(state);
    renderIsland(state.island ?? null);
    renderReviews(state.reviews ?? 0);
    document.getElementById("at").dateTime = state.at;
    set(document.getElementById("position"), state.position);
    summarise(summaryOf(state), false);
    tick();
  }

  // --- freshness -----------------------------------------------------------------------------------
  function tick() {
    if (!current()) return;
    const seconds = Math.floor(age());
    const stale = !connected || age() > staleAfter;
    set(document.getElementById("at"), f.clock(current().at));
    set(document.getElementById("ago"), f.fill(texts.ago, { seconds }));
    board.classList.toggle("stale", stale);
    for (const note of board.querySelectorAll("[data-stale]")) {
      note.hidden = !stale;
      if (stale) set(note, f.fill(texts.stale, { seconds }));
    }
    const name = !connected ? "lost" : paused ? "paused" : stale ? "old" : "live";
    badge.dataset.state = name;
    set(document.getElementById("badge-text"),
      f.fill(texts[name], { since: lostSince ? f.clock(lostSince) : "" }));
    if (shown && !stale && !paused && shown.total.waiting) {
      put("total.longest", f.duration(shown.total.longest_wait_s + secondsSince(shown.received)));
    }
  }

  function fresh(message) {
    sign = { at: message.at, age_s: message.age_s, received: performance.now() };
  }

  function take(message) {
    fresh(message);
    message.received = sign.received;
    state = message;
    if (!paused) render();
  }

  function up() {
    if (!connected && lostSince) summarise(texts.regained, true);
    connected = true;
    lostSince = null;
  }

  function streaming() {
    clearTimeout(pollTimer);
    pollTimer = null;
    up();
  }

  function down() {
    if (connected) summarise(texts.lostNow, true);
    lostSince ??= new Date();
    connected = false;
    // A refused stream (503, a proxy's error page) is not tried again by the browser: ask without one.
    if (source.readyState === EventSource.CLOSED && !pollTimer) pollTimer = setTimeout(poll, 1000);
    tick();
  }

  async function poll() {
    pollTimer = setTimeout(poll, POLL_EVERY_MS);
    polls += 1;
    try {
      const answer = await fetch("/api/v1/queues", { cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }  // signed out or locked: its page says so
      if (!answer.ok) throw new Error(answer.status);
      const message = await answer.json();
      up();
      take(message);
    } catch {
      down();
    }
    if (polls % REOPEN_EVERY_POLLS === 0 && source.readyState === EventSource.CLOSED) open();
  }

  function open() {
    source = new EventSource("/api/v1/stream");
    source.onopen = () => { streaming(); tick(); };
    source.onmessage = (event) => { streaming(); take(JSON.parse(event.data)); };
    source.addEventListener("fresh", (event) => { streaming(); fresh(JSON.parse(event.data)); tick(); });
    source.onerror = down;
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    frozen = sign;
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    set(pause, paused ? texts.resume : texts.pause);
    if (!paused && state) render();
    tick();
  });
  // A formula can be put away without moving pointer or focus (WCAG 1.4.13).
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.body.classList.add("tips-off");
  });
  for (const name of ["focusin", "pointerover"]) {
    document.addEventListener(name, (event) => {
      if (event.target.closest?.(".figure, .level")) document.body.classList.remove("tips-off");
    });
  }
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  setInterval(tick, 1000);
  open();
})();

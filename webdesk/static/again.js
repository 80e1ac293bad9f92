// The board could not be worked out: look again every few seconds until it can.
"use strict";
(() => {
  const EVERY_MS = 5000;
  async function look() {
    try {
      const answer = await fetch("/api/v1/queues", { cache: "no-store" });
      if (answer.ok) return location.reload();
    } catch { /* the server is away: it may come back */ }
    setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS);
})();

// Numbers, shares and times as people read them: the same six rules as webdesk/formats.py.
"use strict";
const formats = (() => {
  const language = document.documentElement.lang;
  const zone = document.body.dataset.zone;
  const NO_VALUE = "–";
  const SPACE = "\u00a0";
  const clockOf = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const minuteOf = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const none = (x) => x === null || x === undefined;
  const two = (n) => String(n).padStart(2, "0");
  return {
    whole: (n) => none(n) ? NO_VALUE
      : String(n).replace(/\B(?=(\d{3})+(?!\d))/g, language === "sv" ? SPACE : ","),
    share: (x) => none(x) ? NO_VALUE : Math.floor(x * 100 + 0.5) + (language === "sv" ? SPACE : "") + "%",
    duration: (s) => {
      if (none(s)) return NO_VALUE;
      const whole = Math.max(0, Math.floor(s));
      const hours = Math.floor(whole / 3600), minutes = Math.floor(whole % 3600 / 60);
      return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
    },
    clock: (iso) => clockOf.format(new Date(iso)),
    minute: (iso) => minuteOf.format(new Date(iso)),
    // Fills `{name}` in a text of the catalogue.
    fill: (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => name in values ? values[name] : whole),
  };
})();

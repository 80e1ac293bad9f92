// The last hour as lines. The table beside it says the same; a canvas is mute to a screen reader.
"use strict";
const chart = (() => {
  const place = document.getElementById("chart");
  const labels = document.getElementById("texts").dataset;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;
  let latest = [];

  function columns(series) {
    return [series.map((p) => Date.parse(p.at) / 1000), series.map((p) => p.waiting),
      series.map((p) => p.offered), series.map((p) => p.abandoned)];
  }

  function options() {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
      font: `${parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78}px ${colour("--font")}` };
    return {
      width: place.clientWidth, height: place.clientHeight, legend: { show: false }, cursor: { show: false },
      padding: [10, 20, 0, 0],
      scales: { y: { range: (u, low, high) => [0, Math.max(5, Math.ceil((high ?? 0) * 1.1))] } },
      axes: [
        { ...axis, space: 64, values: (u, at) => at.map((s) => formats.minute(s * 1000)) },
        { ...axis, size: 38, space: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
      ],
      series: [{},
        { label: labels.waiting, stroke: colour("--accent-fill"), fill: colour("--accent-tint"), width: 2.5, points: { show: false } },
        { label: labels.offered, stroke: colour("--soft"), width: 1.75, dash: [6, 4], points: { show: false } },
        { label: labels.abandoned, stroke: colour("--alarm-fill"), width: 2, dash: [2, 3], points: { show: false } },
      ],
    };
  }

  function build() {
    if (plot) plot.destroy();
    place.replaceChildren();
    plot = new uPlot(options(), columns(latest), place);
  }

  new ResizeObserver(() => {
    if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: place.clientHeight });
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot && build());

  return {
    // `series`: points of one minute, oldest first, each {at, waiting, offered, answered, abandoned}.
    show(series, description) {
      latest = series;
      place.setAttribute("aria-label", description);
      if (plot) plot.setData(columns(series)); else build();
    },
  };
})();

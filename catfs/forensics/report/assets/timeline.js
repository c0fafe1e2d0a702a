/* Writes over time: bytes and records above, one lane for each process below, on one axis of time. */
(function (catfs) {
  "use strict";
  const { el } = catfs;
  const LANE = 18, LABEL = 132, RIGHT = 56, BINS = 240;

  class Timeline {
    constructor(data, state, openProcess) {
      this.data = data;
      this.state = state;
      this.openProcess = openProcess;
      this.box = document.getElementById("chart");
      this.lanes = document.getElementById("lanes");
      this.canvas = this.lanes.querySelector("canvas");
      this.size = this.lanes.querySelector(".lanes-size");
      this.order = [];
      this.lanes.addEventListener("scroll", () => this.requestLanes());
      this.lanes.addEventListener("mousemove", (event) => this.point(event));
      this.lanes.addEventListener("mouseleave", catfs.hideTip);
      this.lanes.addEventListener("click", (event) => this.pick(event));
      this.lanes.addEventListener("keydown", (event) => this.key(event));
      this.focus = -1;
      new ResizeObserver(() => this.draw()).observe(this.box);
      state.follow(() => this.draw());
      this.legend();
    }

    legend() {
      document.getElementById("legend").replaceChildren(...this.state.groups.map((group) =>
        el("span", { class: "key" }, el("i", { class: `dot ${group.key}` }), group.title)),
        el("span", { class: "hint" }, "drag to choose a time, double-click for all"));
    }

    get range() {
      const { from, to } = this.state.chosen;
      return from === null ? [0, Math.max(this.data.end, 1)] : [from, to];
    }

    /** Bytes and records, those of the session itself left out, in each of BINS equal stretches of time. */
    bins() {
      const [from, to] = this.range;
      const { time, length, op } = this.data.columns;
      const step = (to - from) / BINS;
      const note = this.state.groups.findIndex((group) => group.key === "note");
      const bytes = new Float64Array(BINS), records = new Float64Array(BINS), at = new Float64Array(BINS);
      for (let k = 0; k < BINS; k++) at[k] = (from + (k + 0.5) * step) / 1e9;
      for (let n = 0; n < this.state.count; n++) {
        const i = this.state.rows[n];
        const k = Math.min(BINS - 1, Math.max(0, Math.floor((time[i] - from) / step)));
        if (this.state.groupOf[op[i]] !== note) records[k]++;
        if (this.state.isWrite[op[i]]) bytes[k] += length[i];
      }
      return [at, bytes, records];
    }

    draw() {
      const width = this.box.clientWidth;
      if (!width) return;
      const bins = this.bins();
      const [from, to] = this.range;
      if (this.chart && this.dressed === document.documentElement.dataset.theme) {
        if (this.chart.width !== width) this.chart.setSize({ width, height: 150 });
        this.chart.setData(bins, false);
        this.chart.setScale("x", { min: from / 1e9, max: to / 1e9 });
        ["bytes", "records"].forEach((scale, i) => this.chart.setScale(scale, { min: 0, max: Math.max(1, ...bins[i + 1]) * 1.08 }));
      } else {
        this.make(width, bins, from, to);
      }
      this.drawLanes();
    }

    make(width, bins, from, to) {
      this.dressed = document.documentElement.dataset.theme;
      if (this.chart) this.chart.destroy();
      const ink = catfs.colour("muted"), grid = { stroke: catfs.colour("line"), width: 1 };
      const font = "11px system-ui, sans-serif";
      const axis = (extra) => ({ stroke: ink, grid, ticks: { show: false }, font, ...extra });
      const top = (column) => [0, Math.max(1, ...bins[column]) * 1.08];
      this.chart = new uPlot({
        width, height: 150, padding: [8, 0, 0, 0], legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        select: { show: true },
        scales: { x: { time: false, range: [from / 1e9, to / 1e9], auto: false }, bytes: { range: top(1) }, records: { range: top(2) } },
        axes: [
          axis({ values: (_, ticks) => ticks.map((tick) => `${+tick.toFixed(6)} s`), size: 28 }),
          axis({ scale: "bytes", size: LABEL, incrs: Array.from({ length: 50 }, (_, k) => 2 ** k), values: (_, ticks) => ticks.map((tick) => catfs.bytes(Math.round(tick))) }),
          axis({ scale: "records", side: 1, size: RIGHT, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => (tick % 1 ? "" : catfs.number(tick))) }),
        ],
        series: [
          {},
          { scale: "bytes", stroke: catfs.colour("write"), fill: catfs.colour("write-soft"), width: 1.5, paths: uPlot.paths.bars({ size: [0.9, 100], align: 0 }), points: { show: false } },
          { scale: "records", stroke: catfs.colour("records"), width: 1.2, paths: uPlot.paths.stepped({ align: 0 }), points: { show: false } },
        ],
        hooks: { setSelect: [(chart) => this.selected(chart)], setCursor: [(chart) => this.hover(chart)] },
      }, bins, this.box);
      this.chart.over.addEventListener("dblclick", () => this.state.choose({ from: null, to: null }));
      this.chart.over.addEventListener("mouseleave", catfs.hideTip);
    }

    selected(chart) {
      const { left, width } = chart.select;
      if (width < 3) return;
      const from = Math.max(0, chart.posToVal(left, "x") * 1e9), to = chart.posToVal(left + width, "x") * 1e9;
      chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      this.state.choose({ from: Math.round(from), to: Math.round(to) });
    }

    hover(chart) {
      const k = chart.cursor.idx;
      if (k === null || k === undefined || chart.cursor.left < 0) return;
      const box = chart.over.getBoundingClientRect();
      catfs.showTip({ clientX: box.left + chart.cursor.left, clientY: box.top + 40 },
        `${catfs.bytes(chart.data[1][k])} written`, catfs.counted(chart.data[2][k], "record"), catfs.moment(chart.data[0][k] * 1e9));
    }

    /* The lanes. */

    requestLanes() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.paint(); });
    }

    /** Lay out a lane for each process that has something chosen, in the order of the log; no program comes last. */
    drawLanes() {
      const { processRecords } = this.state;
      this.order = [];
      for (let number = 0; number < this.data.processCount; number++) if (processRecords[number + 1]) this.order.push(number + 1);
      if (processRecords[0]) this.order.push(0);
      const height = Math.min(Math.max(this.order.length, 1) * LANE, 14 * LANE);
      this.lanes.style.height = `${height}px`;
      this.size.style.height = `${this.order.length * LANE}px`;
      this.chosenRow = new Uint8Array(this.data.count);
      for (let n = 0; n < this.state.count; n++) this.chosenRow[this.state.rows[n]] = 1;
      this.paint();
    }

    paint() {
      const width = this.lanes.clientWidth, height = this.lanes.clientHeight;
      const context = catfs.fit(this.canvas, width, height);
      const first = Math.floor(this.lanes.scrollTop / LANE);
      const shift = this.lanes.scrollTop - first * LANE;
      const colours = this.state.groups.map((group) => catfs.colour(group.key));
      const ink = catfs.colour("ink"), line = catfs.colour("line"), track = catfs.colour("track"), accent = catfs.colour("accent-soft");
      context.font = "11px system-ui, sans-serif";
      context.textBaseline = "middle";
      for (let lane = first; lane < this.order.length && (lane - first) * LANE - shift < height; lane++) {
        const y = (lane - first) * LANE - shift;
        const key = this.order[lane];
        if (lane === this.focus || (key && this.state.chosen.process === key - 1)) {
          context.fillStyle = accent;
          context.fillRect(0, y, width, LANE);
        }
        context.fillStyle = ink;
        context.save();
        context.beginPath();
        context.rect(4, y, LABEL - 14, LANE);
        context.clip();
        const process = key ? this.data.processes[key - 1] : null;
        context.fillText(process ? `${catfs.program(process)} ${process.pid}` : "no program", 6, y + LANE / 2);
        context.restore();
        context.fillStyle = line;
        context.fillRect(LABEL, y + LANE - 1, width - LABEL - RIGHT, 1);
        this.paintLane(context, key, y, width - LABEL - RIGHT, colours, track);
      }
    }

    /** One column of pixels shows the first, in the order of the legend, of the groups that happened in it. */
    paintLane(context, key, y, width, colours, track) {
      const rows = this.data.byProcess.of(key);
      const { time, op } = this.data.columns;
      const [from, to] = this.range;
      const scale = width / (to - from);
      let low = Infinity, high = -Infinity;
      const pixels = new Int8Array(Math.ceil(width) + 2).fill(-1);
      for (const i of rows) {
        if (!this.chosenRow[i]) continue;
        const x = Math.max(0, Math.min(width - 1, (time[i] - from) * scale));
        if (x < low) low = x;
        if (x > high) high = x;
        const group = this.state.groupOf[op[i]];
        const column = Math.floor(x);
        if (pixels[column] < 0 || group < pixels[column]) pixels[column] = group;
      }
      if (high < low) return;
      context.fillStyle = track;
      context.fillRect(LABEL + low, y + 7, Math.max(2, high - low), 4);
      for (let column = 0; column < pixels.length; column++) {
        if (pixels[column] < 0) continue;
        context.fillStyle = colours[pixels[column]];
        context.fillRect(LABEL + column, y + 3, 2, LANE - 7);
      }
    }

    laneAt(event) {
      const box = this.lanes.getBoundingClientRect();
      const lane = Math.floor((event.clientY - box.top + this.lanes.scrollTop) / LANE);
      return lane >= 0 && lane < this.order.length ? lane : -1;
    }

    point(event) {
      const lane = this.laneAt(event);
      if (lane < 0) { catfs.hideTip(); return; }
      const key = this.order[lane];
      const process = key ? this.data.processes[key - 1] : null;
      catfs.showTip(event, process ? `${catfs.program(process)} ${process.pid}` : "no program",
        process ? catfs.command(process).slice(0, 160) : "what the session told of itself",
        `${catfs.counted(this.state.processRecords[key], "record")}, ${catfs.bytes(this.state.processBytes[key])} written`);
    }

    pick(event) {
      const lane = this.laneAt(event);
      if (lane >= 0 && this.order[lane]) this.openProcess(this.order[lane] - 1);
    }

    key(event) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        this.focus = Math.max(0, Math.min(this.order.length - 1, this.focus + step));
        const y = this.focus * LANE;
        if (y < this.lanes.scrollTop) this.lanes.scrollTop = y;
        if (y + LANE > this.lanes.scrollTop + this.lanes.clientHeight) this.lanes.scrollTop = y + LANE - this.lanes.clientHeight;
        this.requestLanes();
      } else if (event.key === "Enter" && this.focus >= 0 && this.order[this.focus]) {
        this.openProcess(this.order[this.focus] - 1);
      }
    }
  }

  catfs.Timeline = Timeline;
})((globalThis.catfs ||= {}));

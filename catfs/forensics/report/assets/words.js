/* Elements, numbers and times as people read them. Names from the log only ever become text. */
(function (catfs) {
  "use strict";

  /** Make an element. Children that are no elements become text. */
  catfs.el = function (tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key === "class") element.className = value;
      else if (key === "hidden") element[key] = value;
      else if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  catfs.number = (value) => Math.round(value).toLocaleString("en-US");

  catfs.counted = (value, noun) => `${catfs.number(value)} ${value === 1 ? noun : noun + "s"}`;

  /** Give a number of bytes in powers of 1,024. */
  catfs.bytes = function (value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit++; }
    return unit ? `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}` : `${value} B`;
  };

  /** Give a length of time in nanoseconds. */
  catfs.duration = function (ns) {
    if (ns < 1e3) return `${Math.round(ns)} ns`;
    if (ns < 1e6) return `${(ns / 1e3).toFixed(ns < 1e4 ? 1 : 0)} µs`;
    if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e8 ? 1 : 0)} ms`;
    if (ns < 60e9) return `${(ns / 1e9).toFixed(2)} s`;
    const minutes = Math.floor(ns / 60e9);
    return `${minutes} min ${Math.round((ns - minutes * 60e9) / 1e9)} s`;
  };

  /** Give a time of day in UTC, from nanoseconds since 1970. */
  catfs.clock = (ns) => new Date(ns / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";

  /** Give a place in time relative to the first record. */
  catfs.moment = (ns) => `+${(ns / 1e9).toFixed(6)} s`;

  catfs.base = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

  /** Give a path whose last part stands out. */
  catfs.path = function (path) {
    const cut = path.lastIndexOf("/") + 1;
    return catfs.el("span", { class: "path", title: path },
      catfs.el("span", { class: "dir" }, path.slice(0, cut)), catfs.el("span", { class: "name" }, path.slice(cut) || "."));
  };

  catfs.program = (process) => catfs.base(process.programs[process.programs.length - 1].exe) || "?";

  catfs.command = (process) => process.programs[process.programs.length - 1].argv.join(" ");

  /** Give the value of a colour of the style sheet. */
  catfs.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  catfs.states = {
    output: "declared output", leftover: "undeclared leftover", temporary: "made and gone again", removed: "of the original, gone",
    unchanged: "touched, the same at the end", read: "only read", untouched: "only named", new: "new", changed: "changed",
  };

  /** Give a word in a coloured field. */
  catfs.badge = (state) => catfs.el("span", { class: `badge ${state}`, title: catfs.states[state] || "" }, state);

  /** Run a function when nothing more urgent is to do, and only the last call of many. */
  catfs.later = function (work, delay = 60) {
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(work, delay); };
  };

  /** Fit a canvas to its element and give its context, in CSS pixels. */
  catfs.fit = function (canvas, width, height) {
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  };

  const tip = () => document.getElementById("tip");

  /** Show a small text beside the pointer. */
  catfs.showTip = function (event, ...lines) {
    const box = tip();
    box.replaceChildren(...lines.map((line, i) => catfs.el("div", { class: i ? "muted" : "strong" }, line)));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
    box.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
  };

  catfs.hideTip = () => { tip().hidden = true; };
})((globalThis.catfs ||= {}));

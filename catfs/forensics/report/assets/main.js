/* Puts the page together, keeps what is chosen in its address, and listens to keys. */
(function (catfs) {
  "use strict";
  const { el } = catfs;

  /** The row of filters: search, operations, what else is chosen, and how much of the log that leaves. */
  class Filters {
    constructor(data, state) {
      this.data = data;
      this.state = state;
      this.input = el("input", { id: "search", type: "search", placeholder: "Search paths, or src/**/*.o", "aria-label": "Search paths", autocomplete: "off", spellcheck: "false" });
      const search = catfs.later(() => state.choose({ text: this.input.value.trim() }), 120);
      this.input.addEventListener("input", search);
      this.input.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.input.value = ""; search(); } });
      this.groups = state.groups.map((group) => el("button", { type: "button", class: "chip", "aria-pressed": "false", onclick: () => this.flip(group.key) },
        el("i", { class: `dot ${group.key}` }), group.title));
      this.chosen = el("span", { class: "chosen" });
      this.left = el("output", { id: "left", class: "left" });
      document.getElementById("filters").append(el("div", { class: "search" }, this.input, el("kbd", {}, "/")), el("div", { class: "chips", role: "group", "aria-label": "Operations" }, ...this.groups), this.chosen, this.left);
      state.follow(() => this.show());
    }

    flip(key) {
      const groups = new Set(this.state.chosen.groups);
      if (!groups.delete(key)) groups.add(key);
      this.state.choose({ groups });
    }

    show() {
      const { chosen, count, bytes, touched } = this.state;
      if (this.input.value.trim() !== chosen.text) this.input.value = chosen.text;
      this.state.groups.forEach((group, i) => this.groups[i].setAttribute("aria-pressed", String(chosen.groups.has(group.key))));
      const chips = [];
      const chip = (text, changes) => chips.push(el("button", { type: "button", class: "chip on", title: "Take away", onclick: () => this.state.choose(changes) }, text, el("span", { "aria-hidden": "true" }, " ✕")));
      if (chosen.process !== null) {
        const process = this.data.processes[chosen.process];
        chip(`${catfs.program(process)} ${process.pid} and below`, { process: null });
      }
      if (chosen.from !== null) chip(`${catfs.moment(chosen.from)} to ${catfs.moment(chosen.to)}`, { from: null, to: null });
      if (this.state.isFiltered) chips.push(el("button", { type: "button", class: "quiet", onclick: () => this.state.clear() }, "Clear"));
      this.chosen.replaceChildren(...chips);
      const of = this.state.isFiltered ? ` of ${catfs.number(this.data.count)}` : "";
      this.left.replaceChildren(el("b", {}, catfs.number(count)), `${of} records · `, el("b", {}, catfs.number(touched)), " files · ", el("b", {}, catfs.bytes(bytes)), " written");
    }
  }

  /** What is chosen, in the address of the page. */
  class Address {
    constructor(data, state, lists, detail) {
      Object.assign(this, { data, state, lists, detail, shown: null });
      addEventListener("hashchange", () => { if (location.hash !== this.written) this.read(); });
    }

    write() {
      const { text, process, groups, from, to } = this.state.chosen;
      const parts = new URLSearchParams();
      if (text) parts.set("q", text);
      if (process !== null) parts.set("below", process);
      if (groups.size) parts.set("ops", [...groups].join(","));
      if (from !== null) parts.set("t", `${from}-${to}`);
      if (this.lists.current !== "files") parts.set("tab", this.lists.current);
      if (this.shown) parts.set(this.shown[0], this.shown[1]);
      this.written = parts.size ? `#${parts}` : "";
      if (location.hash !== this.written) history.replaceState(null, "", this.written || location.pathname + location.search);
    }

    read() {
      const parts = new URLSearchParams(location.hash.slice(1));
      const place = (key, limit) => (/^\d+$/.test(parts.get(key) || "") && Number(parts.get(key)) < limit ? Number(parts.get(key)) : null);
      const time = /^(\d+)-(\d+)$/.exec(parts.get("t") || "");
      const known = new Set(this.state.groups.map((group) => group.key));
      if (parts.get("tab")) this.lists.choose(parts.get("tab"));
      const file = place("file", this.data.fileCount), process = place("process", this.data.processCount);
      this.shown = file !== null ? ["file", file] : process !== null ? ["process", process] : null;
      this.state.choose({
        text: parts.get("q") || "", process: place("below", this.data.processCount),
        groups: new Set((parts.get("ops") || "").split(",").filter((key) => known.has(key))),
        from: time && Number(time[1]) < Number(time[2]) ? Number(time[1]) : null, to: time ? Number(time[2]) : null,
      });
      if (this.shown) this.detail.show(...this.shown);
      else this.detail.hide();
    }

    open(kind, place) { this.shown = [kind, place]; this.detail.show(kind, place); this.write(); }

    close() { this.shown = null; this.detail.hide(); this.write(); }
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    document.getElementById("theme").textContent = theme === "dark" ? "Light" : "Dark";
  }

  function makeTheme(state) {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    setTheme(dark.matches ? "dark" : "light");
    const redraw = (theme) => { setTheme(theme); state.apply(); };
    dark.addEventListener("change", () => redraw(dark.matches ? "dark" : "light"));
    document.getElementById("theme").addEventListener("click", () => redraw(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  }

  function listenToKeys(address) {
    addEventListener("keydown", (event) => {
      const writes = event.target.closest("input, textarea, select");
      if (event.key === "/" && !writes) { event.preventDefault(); document.getElementById("search").focus(); }
      if (event.key === "Escape" && !writes && address.shown) address.close();
    });
  }

  async function start() {
    const source = document.getElementById("data");
    const data = await catfs.unpack(source.textContent);
    source.remove();
    document.getElementById("main").hidden = false;
    document.getElementById("loading").remove();
    const state = new catfs.State(data);
    makeTheme(state);
    const open = (kind, place) => address.open(kind, place);
    const openProcess = (number) => open("process", number);
    new Filters(data, state);
    new catfs.Timeline(data, state, openProcess);
    new catfs.TreeMap(data, state, (file) => open("file", file));
    new catfs.Processes(data, state, openProcess);
    const lists = new catfs.Lists(data, state, open);
    const detail = new catfs.Detail(data, state, open, () => address.close());
    const address = new Address(data, state, lists, detail);
    lists.onChoose = () => address.write();
    address.read();
    catfs.showVerdict(data, state);
    state.follow(() => address.write());
    listenToKeys(address);
    document.documentElement.dataset.ready = "yes";
  }

  start().catch((error) => {
    const place = document.getElementById("loading") || document.body.appendChild(el("p", { class: "loading" }));
    place.textContent = `This page cannot be shown: ${error.message}`;
    throw error;
  });
})((globalThis.catfs ||= {}));

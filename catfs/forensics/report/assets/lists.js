/* The tables: files, records, differences, text, steps; one is seen at a time. */
(function (catfs) {
  "use strict";
  const { el } = catfs;

  class Lists {
    constructor(data, state, open) {
      this.data = data;
      this.state = state;
      this.open = open;
      this.box = document.getElementById("lists");
      this.tabs = [];
      this.bar = el("div", { class: "tabs", role: "tablist", "aria-label": "Tables" });
      this.box.append(this.bar);
      this.makeFiles();
      this.makeRecords();
      if (data.proof) this.makeDifference();
      if (data.diffs.length) this.makeTexts();
      if (data.steps.length) this.makeSteps();
      this.bar.addEventListener("keydown", (event) => this.key(event));
      this.update = catfs.later(() => this.refresh(), 30);
      state.follow(this.update);
      this.choose("files");
      this.files.sortBy("written", true);
    }

    /** Add a tab and give the place of its content. */
    tab(key, title, count) {
      const panel = el("div", { class: "panel", id: `panel-${key}`, role: "tabpanel", "aria-labelledby": `tab-${key}`, hidden: true });
      const badge = el("span", { class: "count" }, count === undefined ? "" : catfs.number(count));
      const button = el("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}`, onclick: () => { this.choose(key); this.onChoose?.(); } }, title, badge);
      this.bar.append(button);
      this.box.append(panel);
      this.tabs.push({ key, button, panel, badge });
      return panel;
    }

    choose(key) {
      if (!this.tabs.some((tab) => tab.key === key)) return;
      this.current = key;
      for (const tab of this.tabs) {
        const chosen = tab.key === key;
        tab.panel.hidden = !chosen;
        tab.button.setAttribute("aria-selected", String(chosen));
        tab.button.tabIndex = chosen ? 0 : -1;
      }
      if (this.stale?.has(key)) this.refresh();
    }

    key(event) {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const at = this.tabs.findIndex((tab) => tab.key === this.current);
      const next = this.tabs[(at + step + this.tabs.length) % this.tabs.length];
      this.choose(next.key);
      next.button.focus();
    }

    badge(key, text) { this.tabs.find((tab) => tab.key === key).badge.textContent = text; }

    makeFiles() {
      const { files, paths } = this.data;
      const path = (i) => (files.path[i] ? paths[files.path[i] - 1] : "");
      this.pathOf = path;
      this.fileKeys = {
        path: (i) => path(i), state: (i) => files.state[i], written: (i) => this.state.fileBytes[i + 1],
        records: (i) => this.state.fileRecords[i + 1], size: (i) => files.size[i] ?? -1, last: (i) => this.lastOf(i),
      };
      this.files = new catfs.Table(this.tab("files", "Files"), {
        label: "Files", height: 480, open: (i) => this.open("file", i), sort: () => this.showFiles(),
        columns: [
          { key: "path", title: "Path", width: "minmax(0, 1fr)", first: "up", cell: (i) => catfs.path(path(i)) },
          { key: "state", title: "Became", width: "104px", first: "up", cell: (i) => catfs.badge(files.state[i]) },
          { key: "written", title: "Written", width: "96px", align: "number", cell: (i) => catfs.bytes(this.state.fileBytes[i + 1]) },
          { key: "records", title: "Records", width: "84px", align: "number", cell: (i) => catfs.number(this.state.fileRecords[i + 1]) },
          { key: "size", title: "Size at end", width: "104px", align: "number", cell: (i) => (files.size[i] === null ? "" : catfs.bytes(files.size[i])) },
          { key: "last", title: "Last", width: "124px", align: "number", cell: (i) => catfs.moment(this.lastOf(i)) },
        ],
      });
    }

    /** Time of the last thing that a program did to a file; notes of the session itself do not count. */
    lastOf(i) {
      const rows = this.data.byFile.of(i + 1);
      const { op, time } = this.data.columns;
      const note = this.state.groups.findIndex((group) => group.key === "note");
      for (let k = rows.length - 1; k >= 0; k--) if (this.state.groupOf[op[rows[k]]] !== note) return time[rows[k]];
      return rows.length ? time[rows[0]] : 0;
    }

    showFiles() {
      const rows = [];
      for (let i = 0; i < this.data.fileCount; i++) if (this.state.fileRecords[i + 1]) rows.push(i);
      const { key, down } = this.files.sorted;
      if (key) {
        const value = this.fileKeys[key];
        const keys = new Map(rows.map((i) => [i, value(i)]));
        const sign = down ? -1 : 1;
        rows.sort((a, b) => { const x = keys.get(a), y = keys.get(b); return x < y ? -sign : x > y ? sign : a - b; });
      }
      this.files.show(rows);
      this.badge("files", catfs.number(rows.length));
    }

    makeRecords() {
      const panel = this.tab("records", "Records");
      this.records = new catfs.Table(panel, { label: "Records", height: 480, columns: recordColumns(this.data, this.state), open: (i) => this.openRecord(i) });
    }

    openRecord(i) {
      const { file, process } = this.data.columns;
      if (file[i]) this.open("file", file[i] - 1);
      else if (process[i]) this.open("process", process[i] - 1);
    }

    makeDifference() {
      const { difference } = this.data;
      const panel = this.tab("difference", "Changes left", difference.length);
      const words = { added: "+", removed: "−", changed: "~" };
      const table = new catfs.Table(panel, {
        label: "Changes that were left", height: 480, open: (change) => this.openPath(change.domain, change.path),
        columns: [
          { key: "change", title: "", width: "34px", class: "sign", cell: (change) => words[change.change] },
          { key: "path", title: "Path", width: "minmax(0, 1fr)", cell: (change) => catfs.path(change.path) },
          { key: "declared", title: "Is", width: "120px", cell: (change) => catfs.badge(change.declared ? "output" : "leftover") },
        ],
        rowClass: (change) => change.change,
      });
      table.show(difference);
      if (!difference.length) panel.append(el("p", { class: "empty" }, "Nothing differs: the view was left as the original was."));
    }

    openPath(domain, path) {
      const { files } = this.data;
      for (let i = this.data.fileCount - 1; i >= 0; i--) {
        if (files.domain[i] === domain && this.pathOf(i) === path) { this.open("file", i); return; }
      }
    }

    makeTexts() {
      const panel = this.tab("texts", "Text", this.data.diffs.length);
      const list = el("div", { class: "texts" });
      this.data.diffs.forEach((diff) => {
        const box = el("details", { class: "text" }, el("summary", {}, catfs.path(diff.path), el("span", { class: "plus" }, diff.added ? `+${diff.added}` : ""),
          el("span", { class: "minus" }, diff.removed ? `−${diff.removed}` : ""), el("span", { class: "muted" }, diff.note)));
        box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(catfs.diff(diff)); });
        list.append(box);
      });
      if (list.firstElementChild) list.firstElementChild.open = true;
      panel.append(list);
    }

    makeSteps() {
      const panel = this.tab("steps", "Steps", this.data.steps.length);
      panel.append(el("div", { class: "texts" }, ...this.data.steps.map((step) => el("details", { class: "text", open: this.data.steps.length === 1 ? "" : null },
        el("summary", {}, el("span", { class: "path" }, el("span", { class: "name" }, step.argv.join(" "))),
          el("span", { class: `badge ${step.status ? "leftover" : "output"}` }, `exit ${step.status}`), el("span", { class: "muted" }, catfs.duration(step.ended - step.started))),
        ...stream("stdout", step.stdout, step.stdout_size), ...stream("stderr", step.stderr, step.stderr_size),
        step.stdout_size + step.stderr_size ? null : el("p", { class: "empty" }, "It printed nothing.")))));
    }

    refresh() {
      this.stale = new Set(["files", "records"]);
      if (this.current !== "records") { this.showFiles(); this.stale.delete("files"); }
      if (this.current === "records" || !this.records.rows.length) {
        this.records.show(this.state.rows.subarray(0, this.state.count));
        this.stale.delete("records");
      }
      this.badge("records", catfs.number(this.state.count));
      this.badge("files", catfs.number(this.state.touched));
    }
  }

  function stream(name, text, size) {
    if (!size) return [];
    const part = new TextEncoder().encode(text).length < size ? `, the end of ${catfs.bytes(size)}` : "";
    return [el("div", { class: "stream-name" }, name + part), el("pre", { class: "stream" }, text)];
  }

  /** The columns of a table of records. */
  function recordColumns(data, state) {
    const { time, op, path, process, offset, length } = data.columns;
    return [
      { key: "seq", title: "#", width: "76px", align: "number", class: "muted", cell: (i) => catfs.number(i) },
      { key: "time", title: "Time", width: "116px", align: "number", cell: (i) => catfs.moment(time[i]) },
      { key: "op", title: "Operation", width: "110px", cell: (i) => el("span", { class: "op" }, el("i", { class: `dot ${state.groups[state.groupOf[op[i]]].key}` }), data.operations[op[i]]) },
      { key: "path", title: "Path", width: "minmax(0, 1fr)", cell: (i) => recordPath(data, i, path, process) },
      { key: "range", title: "Range", width: "170px", align: "number", cell: (i) => (length[i] ? `${catfs.number(offset[i])} + ${catfs.number(length[i])}` : "") },
      { key: "process", title: "Process", width: "190px", cell: (i) => (process[i] ? `${catfs.program(data.processes[process[i] - 1])} ${data.processes[process[i] - 1].pid}` : "") },
    ];
  }
  catfs.recordColumns = recordColumns;

  function recordPath(data, i, path, process) {
    if (!path[i]) {
      return data.operations[data.columns.op[i]] === "process" && process[i]
        ? el("span", { class: "path dir" }, catfs.command(data.processes[process[i] - 1])) : "";
    }
    const first = catfs.path(data.paths[path[i] - 1]);
    const second = data.secondPath.get(i);
    if (second === undefined) return first;
    return el("span", { class: "two" }, first, el("span", { class: "arrow" }, "→"), catfs.path(data.paths[second - 1]));
  }

  /** The lines of a comparison. */
  catfs.diff = function (diff) {
    if (!diff.lines.length) return el("p", { class: "empty" }, diff.note || "no line differs");
    const kinds = { "+": "added", "-": "removed", "@": "place" };
    return el("pre", { class: "diff" }, ...diff.lines.map((line) => el("span", { class: `line ${kinds[line[0]] || ""}` }, line + "\n")));
  };

  catfs.Lists = Lists;
})((globalThis.catfs ||= {}));

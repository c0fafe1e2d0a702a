/* The panel on the side: everything about one file or one process, with links to all that belongs to it. */
(function (catfs) {
  "use strict";
  const { el } = catfs;
  const LISTED_MAX = 200;

  class Detail {
    constructor(data, state, open, close) {
      this.data = data;
      this.state = state;
      this.open = open;
      this.close = close;
      this.box = document.getElementById("detail");
      this.box.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); close(); } });
    }

    hide() {
      if (this.box.hidden) return;
      this.box.hidden = true;
      document.body.classList.remove("with-detail");
      this.before?.focus({ preventScroll: true });
    }

    show(kind, place) {
      if (this.box.hidden) this.before = document.activeElement;
      const parts = kind === "file" ? this.file(place) : this.process(place);
      const shut = el("button", { type: "button", class: "quiet shut", "aria-label": "Close details", onclick: () => this.close() }, "✕");
      this.box.replaceChildren(el("div", { class: "detail-head" }, parts.head, shut), el("div", { class: "detail-body" }, ...parts.body));
      this.box.hidden = false;
      document.body.classList.add("with-detail");
      shut.focus({ preventScroll: true });
      parts.after?.();
    }

    link(kind, place, ...children) {
      return el("a", { href: `#${kind}=${place}`, onclick: (event) => { event.preventDefault(); this.open(kind, place); } }, ...children);
    }

    processLink(number) {
      const process = this.data.processes[number];
      return this.link("process", number, `${catfs.program(process)} ${process.pid}`);
    }

    pairs(items) {
      return el("dl", { class: "facts" }, ...items.filter(([, value]) => value !== null && value !== "")
        .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    }

    /** Bytes and records by what `key` gives for each record. */
    tally(rows, key) {
      const found = new Map();
      const { op, length } = this.data.columns;
      for (const i of rows) {
        const at = key(i);
        const sums = found.get(at) || { at, bytes: 0, records: 0 };
        sums.records++;
        if (this.state.isWrite[op[i]]) sums.bytes += length[i];
        found.set(at, sums);
      }
      found.delete(0);
      return [...found.values()].sort((a, b) => b.bytes - a.bytes || b.records - a.records);
    }

    share(title, sums, link) {
      if (!sums.length) return null;
      const most = Math.max(1, sums[0].bytes);
      const rows = sums.slice(0, LISTED_MAX).map((sum) => {
        const fill = el("i", {});
        fill.style.width = `${100 * sum.bytes / most}%`;
        return el("li", {}, link(sum.at - 1), el("span", { class: "bar" }, fill, el("b", {}, sum.bytes ? catfs.bytes(sum.bytes) : catfs.counted(sum.records, "record"))));
      });
      const more = sums.length > LISTED_MAX ? el("p", { class: "muted" }, `and ${catfs.number(sums.length - LISTED_MAX)} more`) : null;
      return el("section", {}, el("h3", {}, title, el("span", { class: "count" }, catfs.number(sums.length))), el("ul", { class: "shares" }, ...rows), more);
    }

    records(rows, known) {
      const place = el("section", {}, el("h3", {}, "Records", el("span", { class: "count" }, catfs.number(rows.length))));
      const columns = catfs.recordColumns(this.data, this.state).filter((column) => !["seq", ...known].includes(column.key));
      const table = new catfs.Table(place, { label: "Records", height: Math.min(300, 30 * rows.length + 4), columns, open: (i) => {
        const kind = known.includes("path") ? "process" : "file", place = this.data.columns[kind][i];
        if (place) this.open(kind, place - 1);
      } });
      return [place, () => table.show(rows)];
    }

    file(i) {
      const { files, paths } = this.data;
      const path = files.path[i] ? paths[files.path[i] - 1] : "";
      const rows = this.data.byFile.of(i + 1);
      const life = files.born[i] !== null && files.died[i] !== null
        ? catfs.duration(this.data.columns.time[files.died[i]] - this.data.columns.time[files.born[i]]) : null;
      const names = [...new Set([...rows].flatMap((row) => [this.data.columns.path[row], this.data.secondPath.get(row) || 0]))].filter(Boolean);
      const writers = this.tally(rows, (row) => this.data.columns.process[row]);
      const diff = this.data.diffOf.get(files.domain[i] + "\0" + path);
      const [table, after] = this.records(rows, ["path"]);
      return {
        head: el("div", {}, el("div", { class: "muted" }, files.kind[i]), el("h2", {}, catfs.path(path)), catfs.badge(files.state[i])),
        body: [
          this.pairs([
            ["Became", catfs.states[files.state[i]]], ["Size at end", files.size[i] === null ? null : catfs.bytes(files.size[i])],
            ["SHA-256", files.digest[i] ? el("code", {}, files.digest[i]) : null], ["Lived", life],
            ["Made by", this.by(files.born[i])], ["Gone by", this.by(files.died[i])], ["Inode", String(files.ino[i])],
            ["Names", names.length > 1 ? el("ul", { class: "names" }, ...names.slice(0, 20).map((name) => el("li", {}, paths[name - 1]))) : null],
          ]),
          diff === undefined ? null : el("section", {}, el("h3", {}, "How the text differs"), catfs.diff(this.data.diffs[diff])),
          this.share("Processes", writers, (number) => this.processLink(number)), table,
        ].filter(Boolean), after,
      };
    }

    by(seq) {
      if (seq === null) return null;
      const number = this.data.columns.process[seq];
      return el("span", {}, number ? this.processLink(number - 1) : "no program", el("span", { class: "muted" }, ` record ${catfs.number(seq)}`));
    }

    process(number) {
      const { processes, paths, files, children } = this.data;
      const process = processes[number];
      const rows = this.data.byProcess.of(number + 1);
      const chain = [];
      for (let at = process.parent; at !== null; at = processes[at].parent) chain.unshift(at);
      const trail = chain.flatMap((at) => [this.processLink(at), " › "]);
      const touched = this.tally(rows, (row) => this.data.columns.file[row]);
      const [table, after] = this.records(rows, ["process", "range"]);
      const chosen = this.state.chosen.process === number;
      return {
        head: el("div", {}, el("div", { class: "muted" }, ...trail, `process ${process.pid}`), el("h2", {}, catfs.program(process)),
          el("button", { type: "button", class: "quiet", onclick: () => { this.state.choose({ process: chosen ? null : number }); this.show("process", number); } },
            chosen ? "Show all processes" : "Only this and what it started")),
        body: [
          this.pairs([
            ["User", String(process.uid)], ["Parent", process.parent === null ? String(process.parent_pid || "") : this.processLink(process.parent)],
            ["Directory", process.cwd], ["First", rows.length ? catfs.moment(this.data.columns.time[rows[0]]) : null],
            ["Last", rows.length ? catfs.moment(this.data.columns.time[rows[rows.length - 1]]) : null],
          ]),
          el("section", {}, el("h3", {}, process.programs.length > 1 ? "Programs, in order" : "Program"),
            ...process.programs.map((program) => el("div", { class: "program" }, el("code", {}, program.exe || "?"), el("pre", { class: "argv" }, program.argv.join(" "))))),
          children[number].length ? el("section", {}, el("h3", {}, "Started", el("span", { class: "count" }, catfs.number(children[number].length))),
            el("ul", { class: "names" }, ...children[number].slice(0, LISTED_MAX).map((child) => el("li", {}, this.processLink(child),
              el("span", { class: "muted" }, " " + catfs.command(processes[child]).slice(0, 120)))))) : null,
          this.share("Files", touched, (file) => this.link("file", file, catfs.path(files.path[file] ? paths[files.path[file] - 1] : ""))), table,
        ].filter(Boolean), after,
      };
    }
  }

  catfs.Detail = Detail;
})((globalThis.catfs ||= {}));

/* The tree of processes, each with what it and those it started did. */
(function (catfs) {
  "use strict";
  const { el } = catfs;

  class Processes {
    constructor(data, state, openProcess) {
      this.data = data;
      this.state = state;
      this.closed = new Set();
      this.depth = new Uint16Array(data.processCount);
      this.order = [];
      const waiting = [...data.roots].reverse();
      while (waiting.length) {
        const number = waiting.pop();
        const parent = data.processes[number].parent;
        this.depth[number] = parent === null ? 0 : this.depth[parent] + 1;
        this.order.push(number);
        waiting.push(...[...data.children[number]].reverse());
      }
      this.allRecords = new Float64Array(data.processCount);
      this.allBytes = new Float64Array(data.processCount);
      this.table = new catfs.Table(document.getElementById("processes"), {
        label: "Processes", height: 300, open: openProcess,
        columns: [
          { key: "program", title: "Program", width: "minmax(0, 1fr)", cell: (number) => this.program(number) },
          { key: "pid", title: "PID", width: "62px", align: "number", cell: (number) => String(data.processes[number].pid) },
          { key: "records", title: "Records", width: "74px", align: "number", cell: (number) => catfs.number(this.allRecords[number]) },
          { key: "written", title: "Written", width: "110px", align: "number", cell: (number) => this.bar(number) },
        ],
      });
      this.table.keys = (event, number) => this.fold(event.key, number);
      document.getElementById("processes-tools").replaceChildren(
        el("button", { type: "button", class: "quiet", onclick: () => { this.closed.clear(); this.show(); } }, "Open all"),
        el("button", { type: "button", class: "quiet", onclick: () => { this.order.filter((n) => data.children[n].length).forEach((n) => this.closed.add(n)); this.show(); } }, "Close all"));
      state.follow(() => this.update());
    }

    /** Add up what is chosen, children into their parents. */
    update() {
      for (let at = this.order.length - 1; at >= 0; at--) {
        const number = this.order[at];
        this.allRecords[number] = this.state.processRecords[number + 1];
        this.allBytes[number] = this.state.processBytes[number + 1];
        for (const child of this.data.children[number]) {
          this.allRecords[number] += this.allRecords[child];
          this.allBytes[number] += this.allBytes[child];
        }
      }
      this.most = Math.max(1, ...this.data.roots.map((number) => this.allBytes[number]));
      this.show();
    }

    show() {
      const rows = [];
      let hiddenBelow = Infinity;
      for (const number of this.order) {
        if (this.depth[number] > hiddenBelow) continue;
        hiddenBelow = Infinity;
        if (!this.allRecords[number]) { hiddenBelow = this.depth[number]; continue; }
        rows.push(number);
        if (this.closed.has(number)) hiddenBelow = this.depth[number];
      }
      this.table.show(rows);
    }

    program(number) {
      const process = this.data.processes[number];
      const toggle = this.data.children[number].length
        ? el("button", { type: "button", class: "toggle", tabindex: "-1", "aria-label": this.closed.has(number) ? "Open" : "Close",
          onclick: (event) => { event.stopPropagation(); this.flip(number); } }, this.closed.has(number) ? "▸" : "▾")
        : el("span", { class: "toggle" });
      const cell = el("span", { class: "tree", title: catfs.command(process) }, toggle,
        el("span", { class: "name" }, catfs.program(process)), el("span", { class: "dir" }, " " + process.programs[process.programs.length - 1].argv.slice(1).join(" ")));
      cell.style.paddingLeft = `${Math.min(this.depth[number], 12) * 14}px`;
      return cell;
    }

    bar(number) {
      const fill = el("i", {});
      fill.style.width = `${100 * this.allBytes[number] / this.most}%`;
      return el("span", { class: "bar" }, fill, el("b", {}, catfs.bytes(this.allBytes[number])));
    }

    flip(number) {
      if (!this.closed.delete(number)) this.closed.add(number);
      this.show();
    }

    fold(key, number) {
      if (number === undefined || !["ArrowLeft", "ArrowRight"].includes(key)) return false;
      if (this.data.children[number].length && this.closed.has(number) === (key === "ArrowRight")) this.flip(number);
      return true;
    }
  }

  catfs.Processes = Processes;
})((globalThis.catfs ||= {}));

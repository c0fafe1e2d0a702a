/* A table of any length: only the rows that are seen are elements. */
(function (catfs) {
  "use strict";

  const ROW = 30;
  const HEIGHT_MAX = 8_000_000; /* browsers do not place elements beyond some 16 million pixels */
  const SPARE = 6;

  class Table {
    /**
     * columns: [{ key, title, width, align, class, first, cell(row) }]; open(row); sort({ key, down }).
     */
    constructor(place, { label, columns, height, open, sort, rowClass }) {
      this.columns = columns;
      this.open = open;
      this.rowClass = rowClass || (() => "");
      this.rows = [];
      this.current = -1;
      this.sorted = { key: null, down: true };
      this.onSort = sort;
      this.template = columns.map((column) => column.width).join(" ");
      this.heads = columns.map((column) => this.head(column));
      this.headRow = catfs.el("div", { class: "row head", role: "row" }, ...this.heads);
      this.headRow.style.gridTemplateColumns = this.template;
      this.space = catfs.el("div", { class: "space" });
      this.body = catfs.el("div", { class: "body", tabindex: "0", role: "rowgroup" }, this.space);
      this.body.style.height = `${height}px`;
      this.box = catfs.el("div", { class: "table", role: "grid", "aria-label": label }, this.headRow, this.body);
      place.append(this.box);
      this.body.addEventListener("scroll", () => this.request());
      this.body.addEventListener("keydown", (event) => this.key(event));
      this.drawn = new Map();
      new ResizeObserver(() => this.request()).observe(this.body);
    }

    head(column) {
      const cell = catfs.el("div", { class: `cell ${column.align || ""}`, role: "columnheader" });
      if (!this.onSort) { cell.append(column.title); return cell; }
      cell.setAttribute("aria-sort", "none");
      cell.append(catfs.el("button", { type: "button", class: "sort", onclick: () => this.sortBy(column.key) }, column.title));
      return cell;
    }

    /** Sort by a column; a second time the other way round. */
    sortBy(key, down = null) {
      const same = this.sorted.key === key;
      const first = this.columns.find((column) => column.key === key).first !== "up";
      this.sorted = { key, down: down ?? (same ? !this.sorted.down : first) };
      this.columns.forEach((column, i) => {
        if (this.heads[i].hasAttribute("aria-sort")) {
          this.heads[i].setAttribute("aria-sort", column.key === key ? (this.sorted.down ? "descending" : "ascending") : "none");
        }
      });
      this.onSort(this.sorted);
    }

    /** Show other rows. */
    show(rows) {
      this.rows = rows;
      this.current = Math.min(this.current, rows.length - 1);
      this.height = Math.min(rows.length * ROW, HEIGHT_MAX);
      this.space.style.height = `${this.height}px`;
      this.box.setAttribute("aria-rowcount", rows.length);
      this.drawn.forEach((element) => element.remove());
      this.drawn.clear();
      this.draw();
    }

    request() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.draw(); });
    }

    /** First row that is seen: exactly, or in proportion where there are more rows than pixels. */
    get top() {
      const seen = this.body.clientHeight;
      if (this.rows.length * ROW <= HEIGHT_MAX) return Math.floor(this.body.scrollTop / ROW);
      const share = this.body.scrollTop / Math.max(1, this.height - seen);
      return Math.floor(share * (this.rows.length - Math.floor(seen / ROW)));
    }

    draw() {
      const seen = Math.ceil(this.body.clientHeight / ROW);
      const top = this.top;
      const exact = this.rows.length * ROW <= HEIGHT_MAX;
      const from = Math.max(0, top - SPARE), to = Math.min(this.rows.length, top + seen + SPARE);
      for (const [place, element] of this.drawn) {
        if (place < from || place >= to || !exact) { element.remove(); this.drawn.delete(place); }
      }
      for (let place = from; place < to; place++) {
        if (this.drawn.has(place)) continue;
        const element = this.row(place);
        element.style.top = `${exact ? place * ROW : this.body.scrollTop + (place - top) * ROW}px`;
        this.space.append(element);
        this.drawn.set(place, element);
      }
    }

    row(place) {
      const row = this.rows[place];
      const cells = this.columns.map((column) =>
        catfs.el("div", { class: `cell ${column.align || ""} ${column.class || ""}`, role: "gridcell" }, column.cell(row)));
      const element = catfs.el("div", {
        class: `row ${place === this.current ? "current" : ""} ${this.rowClass(row)}`, role: "row", "aria-rowindex": place + 1,
        onclick: () => { this.goTo(place); if (this.open) this.open(row); },
      }, ...cells);
      element.style.gridTemplateColumns = this.template;
      return element;
    }

    /** Make a row the current one and bring it into view. */
    goTo(place) {
      if (!this.rows.length) return;
      this.current = Math.max(0, Math.min(this.rows.length - 1, place));
      this.drawn.forEach((element, drawn) => element.classList.toggle("current", drawn === this.current));
      const seen = Math.floor(this.body.clientHeight / ROW);
      const top = this.top;
      if (this.current < top || this.current >= top + seen) {
        const wanted = this.current < top ? this.current : this.current - seen + 1;
        this.body.scrollTop = this.rows.length * ROW <= HEIGHT_MAX ? wanted * ROW
          : wanted / Math.max(1, this.rows.length - seen) * (this.height - this.body.clientHeight);
      }
    }

    key(event) {
      const page = Math.max(1, Math.floor(this.body.clientHeight / ROW) - 1);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        event.preventDefault();
        const wanted = this.current + steps[event.key];
        this.goTo(wanted === -Infinity ? 0 : wanted === Infinity ? this.rows.length - 1 : wanted);
      } else if (event.key === "Enter" && this.current >= 0 && this.open) {
        event.preventDefault();
        this.open(this.rows[this.current]);
      } else if (this.keys && this.keys(event, this.rows[this.current])) {
        event.preventDefault();
      }
    }
  }

  catfs.Table = Table;
})((globalThis.catfs ||= {}));

/* A map of bytes written: each file an area within its folder, coloured by what became of it. */
(function (catfs) {
  "use strict";
  const { el } = catfs;
  const SHARE_MIN = 1 / 2500; /* of the map: smaller areas are drawn as one */
  const SHOWN_MIN = 500; /* children of the folder that fills the map are drawn, however small, up to so many */
  const HEIGHT = 340;

  /** The folders and files of all domains as one tree; nodes are numbers. */
  function buildTree(data) {
    const nodes = [{ name: "", path: "", parent: -1, children: new Map(), file: 0 }];
    const many = data.job !== null && data.job.domains.length > 1;
    data.files.path.forEach((place, i) => {
      const path = place ? data.paths[place - 1] : "";
      const parts = path.split("/");
      if (many) parts.unshift(data.job.domains[data.files.domain[i]] || `domain ${data.files.domain[i]}`);
      let here = 0;
      for (const part of parts) {
        let next = nodes[here].children.get(part);
        if (next === undefined) {
          next = nodes.length;
          nodes.push({ name: part, path: nodes[here].path ? `${nodes[here].path}/${part}` : part, parent: here, children: new Map(), file: 0 });
          nodes[here].children.set(part, next);
        }
        here = next;
      }
      nodes[here].files = [...(nodes[here].files || []), i + 1];
    });
    nodes.forEach((node) => { if (node.files) node.state = data.files.state[node.files[node.files.length - 1] - 1]; });
    for (let at = nodes.length - 1; at > 0; at--) { /* a folder has the state that all below it share */
      const { parent, state } = nodes[at], above = nodes[parent];
      above.below = above.below === undefined || above.below === (nodes[at].below ?? state) ? nodes[at].below ?? state : "mixed";
    }
    return nodes;
  }

  class TreeMap {
    constructor(data, state, openFile) {
      this.data = data;
      this.state = state;
      this.openFile = openFile;
      this.nodes = buildTree(data);
      this.top = 0;
      this.box = document.getElementById("map");
      this.canvas = this.box.querySelector("canvas");
      this.crumbs = document.getElementById("crumbs");
      this.sums = new Float64Array(this.nodes.length);
      this.cells = [];
      this.focus = -1;
      const draw = catfs.later(() => this.draw(), 40);
      state.follow(draw);
      new ResizeObserver(draw).observe(this.box);
      this.box.addEventListener("mousemove", (event) => this.point(event));
      this.box.addEventListener("mouseleave", () => { catfs.hideTip(); this.focus = -1; this.paint(); });
      this.box.addEventListener("click", () => this.enter(this.focus));
      this.box.addEventListener("keydown", (event) => this.key(event));
      document.getElementById("map-legend").replaceChildren(
        ...["output", "leftover", "temporary", "unchanged", "new", "changed", "removed"]
          .filter((word) => data.files.state.includes(word))
          .map((word) => el("span", { class: "key" }, el("i", { class: `dot ${word}` }), catfs.states[word])));
    }

    sum() {
      this.sums.fill(0);
      for (let at = this.nodes.length - 1; at >= 0; at--) {
        const node = this.nodes[at];
        for (const file of node.files || []) this.sums[at] += this.state.fileBytes[file];
        if (node.parent >= 0) this.sums[node.parent] += this.sums[at];
      }
    }

    /** What is drawn of a node: children that are large enough, the others joined. */
    branch(at, least) {
      const node = this.nodes[at];
      const branch = { at, value: 0, rest: 0, children: [] };
      if (!node.children.size) { branch.value = this.sums[at]; return branch; }
      const enough = at === this.top ? Math.min(least, this.nth([...node.children.values()])) : least;
      for (const child of node.children.values()) {
        if (this.sums[child] >= enough && this.sums[child] > 0) branch.children.push(this.branch(child, least));
        else branch.rest += this.sums[child];
      }
      if (branch.rest > 0 && branch.children.length) branch.children.push({ at, value: branch.rest, others: true, children: [] });
      else if (!branch.children.length) branch.value = this.sums[at];
      return branch;
    }

    /** Bytes of the last child that is drawn in any case. */
    nth(children) {
      return children.map((child) => this.sums[child]).sort((a, b) => b - a)[Math.min(SHOWN_MIN, children.length) - 1];
    }

    draw() {
      this.sum();
      if (this.sums[this.top] === 0) this.top = 0;
      const width = this.box.clientWidth;
      const root = d3.hierarchy(this.branch(this.top, this.sums[this.top] * SHARE_MIN))
        .sum((node) => node.value).sort((a, b) => b.value - a.value);
      d3.treemap().size([width, HEIGHT]).paddingInner(1).paddingOuter(1)
        .paddingTop((node) => (node.depth && node.y1 - node.y0 > 34 ? 16 : 1)).round(true)(root);
      this.root = root;
      this.cells = root.leaves().filter((leaf) => leaf.x1 > leaf.x0 && leaf.y1 > leaf.y0);
      this.box.style.height = `${HEIGHT}px`;
      this.paint();
      this.showCrumbs();
    }

    stateOf(leaf) {
      const node = this.nodes[leaf.data.at];
      return (node.children.size ? node.below : node.state) || "mixed";
    }

    paint() {
      if (!this.root) return;
      const context = catfs.fit(this.canvas, this.box.clientWidth, HEIGHT);
      const colours = {};
      const colour = (name) => (colours[name] ??= catfs.colour(name));
      context.font = "11px system-ui, sans-serif";
      context.textBaseline = "top";
      for (const node of this.root.descendants()) {
        const width = node.x1 - node.x0, height = node.y1 - node.y0;
        if (node.children) {
          if (!node.depth) continue;
          context.fillStyle = colour("folder");
          context.fillRect(node.x0, node.y0, width, height);
          if (height > 34) this.label(context, this.nodes[node.data.at].name + "/", node.x0 + 3, node.y0 + 2, width - 6, colour("muted"));
          continue;
        }
        context.fillStyle = colour(`map-${this.stateOf(node)}`);
        context.fillRect(node.x0, node.y0, width, height);
        if (height > 16 && width > 34) {
          this.label(context, node.data.others ? "others" : this.nodes[node.data.at].name, node.x0 + 4, node.y0 + 3, width - 8, colour("map-ink"));
          if (height > 32 && width > 50) this.label(context, catfs.bytes(node.value), node.x0 + 4, node.y0 + 17, width - 8, colour("map-ink-soft"));
        }
      }
      const focus = this.cells[this.focus];
      if (focus) {
        context.strokeStyle = colour("accent");
        context.lineWidth = 2;
        context.strokeRect(focus.x0 + 1, focus.y0 + 1, focus.x1 - focus.x0 - 2, focus.y1 - focus.y0 - 2);
      }
      if (!this.cells.length || !this.sums[this.top]) {
        this.label(context, "nothing was written by what is chosen", 12, 14, this.box.clientWidth, colour("muted"));
      }
    }

    label(context, text, x, y, width, colour) {
      if (width < 16) return;
      context.save();
      context.beginPath();
      context.rect(x, y - 2, width, 16);
      context.clip();
      context.fillStyle = colour;
      context.fillText(text, x, y);
      context.restore();
    }

    point(event) {
      const box = this.box.getBoundingClientRect();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      const found = this.cells.findIndex((cell) => x >= cell.x0 && x < cell.x1 && y >= cell.y0 && y < cell.y1);
      if (found !== this.focus) { this.focus = found; this.paint(); }
      if (found < 0) { catfs.hideTip(); return; }
      this.tell(event, this.cells[found]);
    }

    tell(event, cell) {
      const node = this.nodes[cell.data.at];
      const word = this.stateOf(cell);
      catfs.showTip(event, cell.data.others ? `others in ${node.path || "the domain"}` : node.path,
        `${catfs.bytes(cell.value)} written, ${(100 * cell.value / (this.sums[0] || 1)).toFixed(1)} % of all`, catfs.states[word] || "click to go there");
    }

    /** Open a file, or go one folder further down towards a cell. */
    enter(place) {
      const cell = this.cells[place];
      if (!cell) return;
      const node = this.nodes[cell.data.at];
      if (!cell.data.others && node.files && (cell.depth <= 1 || cell.parent.data.at === this.top)) {
        this.openFile(node.files[node.files.length - 1] - 1);
        return;
      }
      let at = cell.data.at;
      while (at !== this.top && this.nodes[at].parent !== this.top && this.nodes[at].parent >= 0) at = this.nodes[at].parent;
      this.go(at);
    }

    go(at) {
      this.top = this.nodes[at].children.size ? at : this.nodes[at].parent;
      this.focus = -1;
      catfs.hideTip();
      this.draw();
    }

    showCrumbs() {
      const trail = [];
      for (let at = this.top; at >= 0; at = this.nodes[at].parent) trail.unshift(at);
      this.crumbs.replaceChildren(...trail.map((at) => el("button", { type: "button", class: "quiet", onclick: () => this.go(at) },
        at ? this.nodes[at].name : "all")), el("span", { class: "muted" }, catfs.bytes(this.sums[this.top])));
    }

    key(event) {
      const cell = this.cells[this.focus];
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (event.key === "Backspace" || event.key === "Escape") {
        if (this.top) { event.preventDefault(); this.go(this.nodes[this.top].parent); }
      } else if (event.key === "Enter" && cell) {
        this.enter(this.focus);
      } else if (step) {
        event.preventDefault();
        this.focus = cell ? this.beside(cell, step) : 0;
        this.paint();
        const now = this.cells[this.focus], box = this.box.getBoundingClientRect();
        if (now) this.tell({ clientX: box.left + now.x0, clientY: box.top + now.y0 + 10 }, now);
      }
    }

    /** The nearest cell in a direction. */
    beside(cell, [dx, dy]) {
      const middle = (a) => [(a.x0 + a.x1) / 2, (a.y0 + a.y1) / 2];
      const [x, y] = middle(cell);
      let best = this.focus, least = Infinity;
      this.cells.forEach((other, place) => {
        const [u, v] = middle(other);
        const along = (u - x) * dx + (v - y) * dy;
        const away = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
        if (other !== cell && along > 1 && along + 2 * away < least) { least = along + 2 * away; best = place; }
      });
      return best;
    }
  }

  catfs.TreeMap = TreeMap;
})((globalThis.catfs ||= {}));

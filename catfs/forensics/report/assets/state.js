/* What is chosen, and what of the log that leaves; everything else on the page follows from it. */
(function (catfs) {
  "use strict";

  const GROUPS = [
    ["write", "Write", ["write", "truncate", "fallocate"]],
    ["create", "Create", ["create", "mkdir", "mknod", "symlink", "link"]],
    ["rename", "Rename", ["rename"]],
    ["remove", "Remove", ["unlink", "rmdir"]],
    ["attribute", "Attributes", ["setattr", "setxattr", "removexattr"]],
    ["read", "Read", ["read", "base"]],
    ["note", "Notes", ["process", "content", "sync", "undo"]],
  ];

  /** Give a test of a path: a part of it, or with * and ? a pattern: for the whole, or without / for the name. */
  function pathTest(text) {
    if (!/[*?]/.test(text)) {
      const low = text.toLowerCase();
      return (path) => path.toLowerCase().includes(low);
    }
    const source = text.replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*\*\/|\*\*|\*|\?/g, (word) => ({ "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]" })[word]);
    const pattern = new RegExp(`^${source}$`, "s");
    return text.includes("/") ? (path) => pattern.test(path) : (path) => pattern.test(path.slice(path.lastIndexOf("/") + 1));
  }

  class State {
    constructor(data) {
      this.data = data;
      this.groups = GROUPS.map(([key, title, names]) => ({ key, title, names }));
      this.groupOf = new Uint8Array(data.operations.length);
      this.groups.forEach((group, place) =>
        group.names.forEach((name) => { this.groupOf[data.opPlace[name]] = place; }));
      this.chosen = { text: "", process: null, groups: new Set(), from: null, to: null };
      this.rows = new Uint32Array(data.count);
      this.fileBytes = new Float64Array(data.fileCount + 1);
      this.fileRecords = new Uint32Array(data.fileCount + 1);
      this.processBytes = new Float64Array(data.processCount + 1);
      this.processRecords = new Uint32Array(data.processCount + 1);
      this.listeners = [];
      this.isWrite = new Uint8Array(data.operations.length);
      this.isWrite[data.opPlace.write] = 1;
    }

    /** Call a function after every change of what is chosen. */
    follow(listener) { this.listeners.push(listener); }

    /** Choose something; what is not named stays. */
    choose(changes) {
      Object.assign(this.chosen, changes);
      this.apply();
    }

    clear() { this.choose({ text: "", process: null, groups: new Set(), from: null, to: null }); }

    get isFiltered() {
      const { text, process, groups, from } = this.chosen;
      return text !== "" || process !== null || groups.size > 0 || from !== null;
    }

    /** A process with everything that it started. */
    family(number) {
      const found = new Uint8Array(this.data.processCount + 1);
      const waiting = [number];
      while (waiting.length) {
        const next = waiting.pop();
        found[next + 1] = 1;
        waiting.push(...this.data.children[next]);
      }
      return found;
    }

    apply() {
      const { columns, paths, files, count } = this.data;
      const { text, process, groups, from, to } = this.chosen;
      let path = null, file = null;
      if (text !== "") {
        const test = pathTest(text);
        path = new Uint8Array(paths.length + 1);
        paths.forEach((name, i) => { path[i + 1] = test(name) ? 1 : 0; });
        file = new Uint8Array(files.path.length + 1);
        files.path.forEach((place, i) => { file[i + 1] = path[place]; });
      }
      const family = process === null ? null : this.family(process);
      const wanted = groups.size ? this.data.operations.map((_, op) => groups.has(this.groups[this.groupOf[op]].key)) : null;
      this.fileBytes.fill(0); this.fileRecords.fill(0); this.processBytes.fill(0); this.processRecords.fill(0);
      let n = 0, bytes = 0, touched = 0;
      for (let i = 0; i < count; i++) {
        if (from !== null && (columns.time[i] < from || columns.time[i] > to)) continue;
        if (wanted !== null && !wanted[columns.op[i]]) continue;
        if (family !== null && !family[columns.process[i]]) continue;
        if (path !== null && !path[columns.path[i]] && !file[columns.file[i]]) continue;
        this.rows[n++] = i;
        if (this.fileRecords[columns.file[i]]++ === 0 && columns.file[i]) touched++;
        this.processRecords[columns.process[i]]++;
        if (this.isWrite[columns.op[i]]) {
          const length = columns.length[i];
          this.fileBytes[columns.file[i]] += length;
          this.processBytes[columns.process[i]] += length;
          bytes += length;
        }
      }
      this.count = n;
      this.bytes = bytes;
      this.touched = touched;
      this.listeners.forEach((listener) => listener(this));
    }
  }

  catfs.State = State;
})((globalThis.catfs ||= {}));

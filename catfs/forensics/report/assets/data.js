/* The data of the page: unpacked once, then held in typed arrays. */
(function (catfs) {
  "use strict";

  const ARRAYS = { time: Float64Array, offset: Float64Array, length: Float64Array, op: Uint8Array };

  /** Give the bytes of a base64 text. */
  function bytesOf(text) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }

  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Read a column: numbers of seven bits to a byte, lowest first; differences are zigzag. */
  function readColumn(bytes, place, facts, target) {
    let last = 0;
    for (let i = 0; i < facts.count; i++) {
      let byte = bytes[place++];
      let value = byte & 127;
      for (let scale = 128; byte > 127; scale *= 128) {
        byte = bytes[place++];
        value += (byte & 127) * scale;
      }
      if (facts.differs) {
        last += value % 2 ? -(value + 1) / 2 : value / 2;
        value = last;
      }
      target[i] = value;
    }
    return target;
  }

  /** Unpack what Python packed: the length of the head, the head, the columns one behind the other. */
  catfs.unpack = async function (text) {
    const bytes = await inflate(bytesOf(text));
    const size = new DataView(bytes.buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
    const columns = {};
    let place = 4 + size;
    for (const [name, facts] of Object.entries(head.columns)) {
      columns[name] = readColumn(bytes, place, facts, new (ARRAYS[name] || Uint32Array)(facts.count));
      place += facts.size;
    }
    return prepare(head, columns);
  };

  /** Add what follows from the data alone: children of processes, records of each process and file. */
  function prepare(head, columns) {
    const data = { ...head, columns, count: columns.op.length };
    data.fileCount = head.files.ino.length;
    data.processCount = head.processes.length;
    data.end = 0;
    for (const time of columns.time) if (time > data.end) data.end = time;
    data.byProcess = indexBy(columns.process, data.processCount + 1);
    data.byFile = indexBy(columns.file, data.fileCount + 1);
    data.children = head.processes.map(() => []);
    data.roots = [];
    head.processes.forEach((process, number) =>
      (process.parent === null ? data.roots : data.children[process.parent]).push(number));
    data.secondPath = new Map();
    columns.second_record.forEach((record, i) => data.secondPath.set(record, columns.second_path[i]));
    data.opPlace = Object.fromEntries(head.operations.map((name, place) => [name, place]));
    data.diffOf = new Map(head.diffs.map((diff, i) => [diff.domain + "\0" + diff.path, i]));
    return data;
  }

  /** Sort records by a column without moving them: starts[k]..starts[k + 1] are the records with value k. */
  function indexBy(column, size) {
    const starts = new Uint32Array(size + 1);
    for (let i = 0; i < column.length; i++) starts[column[i] + 1]++;
    for (let k = 0; k < size; k++) starts[k + 1] += starts[k];
    const rows = new Uint32Array(column.length);
    const next = starts.slice();
    for (let i = 0; i < column.length; i++) rows[next[column[i]]++] = i;
    return { starts, rows, of: (key) => rows.subarray(starts[key], starts[key + 1]) };
  }
})((globalThis.catfs ||= {}));

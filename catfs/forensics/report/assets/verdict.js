/* The top of the page: how the run ended, the two verdicts, the roots, and what it came to in numbers. */
(function (catfs) {
  "use strict";
  const { el } = catfs;

  const TITLES = {
    restored: ["Restored", "good"], dirty: ["Dirty", "warn"], failed: ["Failed", "bad"],
    missing_output: ["Output missing", "bad"], conflict: ["Conflict", "bad"], internal: ["Not vouched for", "bad"],
    none: ["No proof", "warn"],
  };

  function headline(data) {
    const proof = data.proof;
    const [title, tone] = TITLES[proof ? proof.outcome : "none"] || [proof.outcome, "warn"];
    const command = data.job && data.job.steps.length ? data.job.steps.map((argv) => argv.join(" ")).join("  &&  ") : "";
    return el("div", { class: `headline ${tone}` },
      el("div", { class: "seal", "aria-hidden": "true" }, tone === "good" ? "✓" : tone === "warn" ? "!" : "✕"),
      el("div", { class: "headline-text" },
        el("h1", { id: "outcome" }, title),
        el("p", { class: "sentence" }, data.sentence || "The run was stopped before its end: nothing seals what is shown here."),
        el("p", { class: "command", title: command }, command)),
      el("dl", { class: "facts" }, ...facts(data)));
  }

  function facts(data) {
    const { info, proof, job } = data;
    const pairs = [["Run", data.run_id]];
    if (info) {
      pairs.push(["Began", catfs.clock(info.started)], ["Took", catfs.duration(info.ended - info.started)],
        ["Where", `${info.user}@${info.host}`]);
    }
    if (proof) pairs.push(["Exit status", String(proof.exit_status)]);
    if (job) pairs.push(["Confined", job.confine === "on" ? "yes" : "no"]);
    return pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { title: value }, value)]);
  }

  function verdictTile(name, holds, text) {
    return el("div", { class: `tile verdict ${holds ? "good" : "warn"}` },
      el("div", { class: "tile-name" }, name), el("div", { class: "tile-value" }, holds ? "yes" : "no"), el("div", { class: "tile-note" }, text));
  }

  function tile(id, name, value, note) {
    return el("div", { class: "tile" },
      el("div", { class: "tile-name" }, name), el("div", { class: "tile-value", id }, value), el("div", { class: "tile-note" }, note));
  }

  function tiles(data, state) {
    const { proof } = data;
    const found = [];
    if (proof) {
      const left = proof.domains.reduce((sum, domain) => sum + domain.leftovers, 0);
      found.push(
        verdictTile("isolated", proof.isolated, proof.isolated
          ? `${catfs.counted(proof.rechecked_paths, "path")} looked at again, none had changed`
          : `${catfs.counted(proof.conflicts.length, "path")} of the original changed underneath`),
        verdictTile("self_restored", proof.self_restored, proof.self_restored
          ? "nothing undeclared was left behind" : `${catfs.counted(left, "undeclared change")} left behind`));
    }
    const kinds = data.files.state.reduce((count, word) => { count[word] = (count[word] || 0) + 1; return count; }, {});
    const left = data.files.size.reduce((sum, size) => sum + (size || 0), 0);
    found.push(
      tile("total-records", "records", catfs.number(data.count), proof && proof.fold_equal ? "lead from base to view" : "in the log"),
      tile("total-processes", "processes", catfs.number(data.processCount), `over ${catfs.duration(data.end)}`),
      tile("total-files", "files", catfs.number(data.fileCount), `${catfs.number(kinds.temporary || 0)} lived and died`),
      tile("total-bytes", "bytes written", catfs.bytes(state.bytes), left ? `${(state.bytes / left).toFixed(2)} for each byte of the files at the end` : "nothing is left of them"));
    return el("div", { class: "tiles" }, ...found);
  }

  function root(digest) {
    return el("button", { type: "button", class: "root", title: `${digest}\nCopy`, "aria-label": `Copy ${digest}`, onclick: (event) => copy(event, digest) },
      `${digest.slice(0, 12)}…${digest.slice(-6)}`);
  }

  function copy(event, text) {
    const button = event.currentTarget;
    const done = () => { button.classList.add("copied"); setTimeout(() => button.classList.remove("copied"), 900); };
    if (navigator.clipboard && isSecureContext) { navigator.clipboard.writeText(text).then(done, () => choose(button, text)); return; }
    choose(button, text);
  }

  /** Where a page may not write to the clipboard, show the whole text, chosen, for the keys of the reader. */
  function choose(button, text) {
    button.textContent = text;
    getSelection().selectAllChildren(button);
  }

  function roots(data) {
    if (!data.proof) return null;
    const rows = data.proof.domains.map((domain) => el("tr", {},
      el("th", { scope: "row", title: domain.path }, domain.path),
      el("td", {}, root(domain.base)), el("td", {}, root(domain.view)),
      el("td", {}, domain.replay === domain.view ? el("span", { class: "badge output" }, "equal") : root(domain.replay)),
      el("td", {}, domain.post === domain.base ? el("span", { class: "badge unchanged" }, "as the base") : root(domain.post)),
      el("td", { class: "number" }, `${catfs.number(domain.declared)} / ${catfs.number(domain.leftovers)}`)));
    const log = data.proof.log;
    return el("div", { class: "roots" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...["Domain", "Base root", "View root", "Log leads to", "After commit", "Declared / left"].map((text) =>
          el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...rows)),
      el("p", { class: "seals" }, "Proof ", root(data.proof.digest), " seals the log ", root(log.root),
        ` of ${catfs.counted(log.records, "record")}, ${catfs.bytes(log.size)}`));
  }

  catfs.showVerdict = function (data, state) {
    document.title = `${data.run_id} - catfs`;
    document.getElementById("made").textContent = `catfs ${data.catfs}`;
    const place = document.getElementById("verdict");
    place.append(headline(data), tiles(data, state));
    const table = roots(data);
    if (table) place.append(table);
  };
})((globalThis.catfs ||= {}));

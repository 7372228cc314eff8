"use strict";
// The page for review. The data are columns with one entry a picture; a group is the pictures from
// start[group] to start[group + 1]. Only what is near the visible part of the page is in the
// document: the height of every group follows from its number of pictures.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const nPictures = data.name.length;
  const nGroups = data.start.length;
  const start = [...data.start, nPictures];
  const isMatch = data.kind === "matches";
  const ORIENTATIONS = ["identity", "flip_left_right", "flip_top_bottom", "rotate_90", "rotate_180", "rotate_270", "transpose", "transverse"];
  const OPENED_BY_BROWSERS = /\.(jpe?g|jfif|png|gif|webp|avif|bmp)$/i;
  const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const MOST_SHOWN = 20000; // groups; browsers have a largest height
  const MOST_PRINTED = 1000;
  const ROWS_AT_ONCE = 6; // a group of more rows is filled row by row
  const MARGIN = 700; // pixels above and below the visible part
  const MILLISECONDS = 8; // of a frame, for groups that come into it

  const groupOf = new Int32Array(nPictures);
  const largest = new Float64Array(nGroups); // distance from the first
  const bytesOf = new Float64Array(nGroups);
  for (let group = 0; group < nGroups; group++) {
    for (let i = start[group]; i < start[group + 1]; i++) {
      groupOf[i] = group;
      largest[group] = Math.max(largest[group], data.distance[i] ?? 0);
      bytesOf[group] += Math.max(0, data.bytes[i]);
    }
  }
  const isFirst = (i) => i === start[groupOf[i]];
  const canTick = (i) => !isMatch || isFirst(i);
  const sizeOf = (group) => start[group + 1] - start[group];

  // Texts.

  const integer = (number) => number.toLocaleString("en");
  const count = (number, noun) => `${integer(number)} ${noun}${number === 1 ? "" : noun === "match" ? "es" : "s"}`;
  const distanceText = (distance) => (distance > 0 && distance < 10 ? distance.toFixed(1) : distance.toFixed(0));
  const isolated = (text) => `\u2068${text}\u2069`;
  function bytesText(bytes) {
    let unit = 0;
    while (bytes >= 999.5 && unit < 4) [bytes, unit] = [bytes / 1000, unit + 1];
    return `${unit ? bytes.toPrecision(3) : bytes} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
  }
  function dateText(seconds) {
    const date = new Date(1000 * seconds);
    const two = (number) => String(number).padStart(2, "0");
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
  }
  const folderOf = (i) => data.folders[data.folder[i]];
  const pathOf = (i) => folderOf(i)[0] + data.name[i];
  const nameShown = (i) => data.shown[i] ?? data.name[i];
  const end = (text, length) => (text.length > length ? "…" + text.slice(-length) : text);
  function facts(i) {
    const lines = [[], []];
    if (data.format[i] !== undefined && data.format_texts[data.format[i]]) lines[0].push(data.format_texts[data.format[i]]);
    if (data.width[i]) lines[0].push(`${integer(data.width[i])} × ${integer(data.height[i])}`);
    if (data.bytes[i] >= 0) lines[1].push(bytesText(data.bytes[i]), dateText(data.seconds[i]));
    return lines.map((line) => line.join(" · "));
  }
  const titleOf = (group) => `${isMatch ? "Row" : "Group"} ${data.number[group]}`;
  const notes = (i) => data.notes[i].map((number) => data.notes_texts[number]);

  // Paths as bytes: a lone surrogate from U+DC80 on is a byte that is not UTF-8.

  const encoder = new TextEncoder();
  function bytes(text) {
    if (!/[\ud800-\udfff]/.test(text)) return encoder.encode(text);
    const result = [];
    for (const letter of text) {
      const code = letter.codePointAt(0);
      if (code >= 0xdc80 && code <= 0xdcff) result.push(code & 0xff);
      else if (code >= 0xd800 && code <= 0xdfff) result.push(0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
      else result.push(...encoder.encode(letter));
    }
    return Uint8Array.from(result);
  }
  const characters = (values) => Array.from(values, (byte) => String.fromCharCode(byte)).join("");
  function address(i) {
    const name = Array.from(bytes(data.name[i]), (byte) => "%" + byte.toString(16).padStart(2, "0")).join("");
    return folderOf(i)[2] && OPENED_BY_BROWSERS.test(data.name[i]) && data.thumbnail[i] >= 0 ? folderOf(i)[2] + name : "";
  }
  function thumbnail(i) {
    const number = data.thumbnail[i];
    return data.thumbnails ? `${data.thumbnails}${number}.jpg` : `data:image/jpeg;base64,${data.embedded[number]}`;
  }

  // Ticks, and where they are kept.

  const ticked = new Uint8Array(nPictures);
  const done = new Uint8Array(nGroups);
  const ticksOf = new Int32Array(nGroups);
  const undoable = [];
  let nTicked = 0;
  let tickedBytes = 0;
  let isKept = true;
  let keeping = 0;
  const key = `photodna_nb.review.${data.digest}`;

  function flip(i) {
    const by = ticked[i] ? -1 : 1;
    ticked[i] ^= 1;
    nTicked += by;
    ticksOf[groupOf[i]] += by;
    tickedBytes += by * Math.max(0, data.bytes[i]);
  }
  function change(pictures, groups = []) {
    if (!pictures.length && !groups.length) return;
    undoable.push([pictures, groups]);
    apply(pictures, groups);
  }
  function apply(pictures, groups) {
    pictures.forEach(flip);
    for (const group of groups) done[group] ^= 1;
    for (const group of elements.keys()) showState(group);
    showStatus();
    clearTimeout(keeping);
    keeping = setTimeout(keep, 200);
  }
  function undo() {
    const last = undoable.pop();
    if (last) apply(...last);
  }
  const numbersIn = (flags) => [...flags.keys()].filter((i) => flags[i]);
  function keep() {
    clearTimeout(keeping);
    const kept = JSON.stringify({ ticked: numbersIn(ticked), done: numbersIn(done), blur: byId("blur").checked });
    isKept = false;
    try {
      localStorage.setItem(key, kept);
      isKept = true;
    } catch {
      try {
        history.replaceState({ [key]: kept }, "");
        isKept = true;
        say("This browser keeps no data of pages: the ticks survive a reload, and not the end of this tab. Save the list.");
      } catch {
        say("This browser keeps no data of pages: save the list before you leave.");
      }
    }
  }
  function restore() {
    let kept = null;
    try {
      kept = localStorage.getItem(key);
    } catch {} // eslint-disable-line no-empty
    try {
      kept = JSON.parse(kept ?? history.state?.[key] ?? "{}");
    } catch {
      kept = {};
    }
    const valid = (numbers, most) => (Array.isArray(numbers) ? numbers : []).filter((i) => Number.isInteger(i) && i >= 0 && i < most);
    const wanted = new Set(valid(kept.ticked, nPictures));
    for (let i = 0; i < nPictures; i++) if (Boolean(ticked[i]) !== wanted.has(i)) flip(i);
    done.fill(0);
    for (const group of valid(kept.done, nGroups)) done[group] = 1;
    byId("blur").checked = Boolean(kept.blur);
    document.body.classList.toggle("blur", byId("blur").checked);
  }
  function say(text) {
    byId("message").textContent = text;
    byId("message").hidden = !text;
  }

  // Which groups are shown, in which order, and where.

  let shown = []; // groups
  let lines = []; // {top, head, rows, height, from, to}: groups shown[from] to shown[to - 1] side by side
  const places = new Map(); // group: {line, left, columns, rows, position}
  let columns = 1;
  let unit = 100; // pixels of a column
  let cardHeight = 300;
  let headHeights = [30, 30]; // of a group without and with a pair beyond the limit
  let nMatching = 0;
  let searched = null;

  const folded = (text) => text.normalize("NFC").toLowerCase();
  function contains(i, text) {
    searched ??= { names: data.name.map((_, i) => folded(nameShown(i))), folders: data.folders.map((one) => folded(one[1])) };
    return (searched.folders[data.folder[i]] + searched.names[i]).includes(text);
  }
  function select() {
    const text = folded(byId("search").value.trim());
    const folder = byId("folder").value;
    const from = parseFloat(byId("from").value);
    const to = parseFloat(byId("to").value);
    const inFolder = data.folders.map((one) => one[0].startsWith(folder));
    const hides = byId("hide").checked;
    const has = (group, test) => {
      for (let i = start[group]; i < start[group + 1]; i++) if (test(i)) return true;
      return false;
    };
    shown = [];
    for (let group = 0; group < nGroups; group++) {
      if (hides && (done[group] || ticksOf[group])) continue;
      if (largest[group] < from || largest[group] > to) continue;
      if (folder && !has(group, (i) => inFolder[data.folder[i]])) continue;
      if (text && !has(group, (i) => contains(i, text))) continue;
      shown.push(group);
    }
    const by = {
      far: (a, b) => largest[b] - largest[a],
      near: (a, b) => largest[a] - largest[b],
      many: (a, b) => sizeOf(b) - sizeOf(a),
      bytes: (a, b) => bytesOf[b] - bytesOf[a],
    }[byId("order").value];
    if (by) shown.sort((a, b) => by(a, b) || a - b);
    nMatching = shown.length;
    shown = shown.slice(0, MOST_SHOWN);
    layOut();
    showStatus();
  }
  function layOut() {
    const list = byId("groups");
    const card = byId("probe").querySelector(".card");
    cardHeight = card.offsetHeight;
    headHeights = [...byId("probe").querySelectorAll(".head")].map((head) => head.offsetHeight);
    columns = Math.max(1, Math.floor((list.clientWidth - 8) / card.offsetWidth));
    unit = (list.clientWidth - 8) / columns;
    lines = [];
    places.clear();
    let top = 0;
    let line = null;
    let used = 0;
    shown.forEach((group, position) => {
      const width = Math.min(sizeOf(group), columns);
      const rows = Math.ceil(sizeOf(group) / columns);
      const head = headHeights[data.widest[group] ? 1 : 0];
      if (!line || head > line.head || rows > 1 || line.rows > 1 || used + width > columns) {
        line = { top, rows, head, height: head + rows * cardHeight + 14, from: position, to: position };
        top += line.height;
        lines.push(line);
        used = 0;
      }
      line.to = position + 1;
      places.set(group, { line: lines.length - 1, left: used, columns: width, rows, position });
      used += width;
    });
    list.style.height = `${top}px`;
    elements.clear();
    list.replaceChildren();
    if (!places.has(groupOf[active])) active = -1;
    soon();
  }

  // What is in the document.

  const elements = new Map(); // group: {article, cards: Map of picture to element}
  let active = -1; // picture that keys act on
  let printing = false;

  const listTop = () => byId("groups").getBoundingClientRect().top + scrollY;
  function lineAt(y) {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle].top + lines[middle].height <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  function groupsBetween(top, bottom) {
    const groups = [];
    for (let l = lineAt(top); l < lines.length && lines[l].top < bottom; l++) groups.push(...shown.slice(lines[l].from, lines[l].to));
    return groups;
  }
  // The picture that has the focus first, then what is visible, then what is near, in frames of their own
  // if they take long.
  function render() {
    const begun = performance.now();
    const from = listTop();
    const top = scrollY - from;
    const bottom = top + innerHeight;
    const focused = active >= 0 ? [groupOf[active]] : [];
    const near = printing ? shown.slice(0, MOST_PRINTED) : groupsBetween(top - MARGIN, bottom + MARGIN);
    const needed = new Set([...focused, ...near]);
    for (const [group, { article }] of elements) {
      if (!needed.has(group)) {
        article.remove();
        elements.delete(group);
      }
    }
    insert(focused, top, bottom, Infinity);
    const isComplete = [groupsBetween(top, bottom), near].every((groups) => insert(groups, top, bottom, printing ? Infinity : begun + MILLISECONDS));
    if (!isComplete) soon();
    showTabStop(from);
  }
  function insert(groups, top, bottom, deadline) {
    const positions = (group) => places.get(group).position;
    const all = [...new Set([...groups, ...elements.keys()])].sort((a, b) => positions(a) - positions(b));
    let next = byId("groups").firstElementChild;
    for (const group of all) {
      let element = elements.get(group);
      if (!element) {
        if (performance.now() > deadline) return false;
        element = makeGroup(group);
        elements.set(group, element);
        byId("groups").insertBefore(element.article, next);
      } else next = element.article.nextElementSibling;
      const line = lines[places.get(group).line];
      fill(group, element, top - MARGIN - line.top - line.head, bottom + MARGIN - line.top - line.head);
    }
    return true;
  }
  function makeGroup(group) {
    const article = byId("group-template").content.firstElementChild.cloneNode(true);
    const place = places.get(group);
    const line = lines[place.line];
    article.style.top = `${line.top}px`;
    article.style.left = `${4 + place.left * unit}px`;
    article.style.width = `${place.columns * unit}px`;
    article.style.height = `${line.height}px`;
    article.setAttribute("aria-posinset", place.position + 1);
    article.setAttribute("aria-setsize", shown.length);
    const title = article.querySelector("h2");
    title.id = `group-${group}`;
    title.textContent = titleOf(group);
    article.setAttribute("aria-labelledby", title.id);
    const number = isMatch ? count(sizeOf(group) - 1, "match") : count(sizeOf(group), "picture");
    article.querySelector(".facts").textContent = `${number} · ${isMatch ? "" : "up to "}${distanceText(largest[group])}`;
    article.querySelector(".head").classList.toggle("tall", line.head === headHeights[1]);
    article.querySelector(".cards").style.height = `${place.rows * cardHeight}px`;
    article.querySelector(".head input").addEventListener("change", () => change([], [group]));
    article.dataset.group = group;
    const element = { article, cards: new Map() };
    showState(group, element);
    return element;
  }
  function fill(group, element, from, to) {
    const place = places.get(group);
    let [first, last] = [0, place.rows];
    if (place.rows > ROWS_AT_ONCE && !printing) {
      first = Math.max(0, Math.floor(from / cardHeight));
      last = Math.min(place.rows, Math.ceil(to / cardHeight));
    }
    const needed = new Set();
    for (let i = start[group] + first * place.columns; i < Math.min(start[group + 1], start[group] + last * place.columns); i++) needed.add(i);
    if (active >= 0 && groupOf[active] === group) needed.add(active);
    for (const [i, card] of element.cards) {
      if (!needed.has(i)) {
        card.remove();
        element.cards.delete(i);
      }
    }
    const parent = element.article.querySelector(".cards");
    let next = parent.firstElementChild;
    for (const i of [...needed].sort((a, b) => a - b)) {
      const card = element.cards.get(i);
      if (card) next = card.nextElementSibling;
      else {
        const made = makeCard(i, place);
        element.cards.set(i, made);
        parent.insertBefore(made, next);
      }
    }
  }
  function makeCard(i, place) {
    const card = byId("card-template").content.firstElementChild.cloneNode(true);
    const number = i - start[groupOf[i]];
    card.style.top = `${Math.floor(number / place.columns) * cardHeight}px`;
    card.style.left = `${(100 * (number % place.columns)) / place.columns}%`;
    card.style.width = `${100 / place.columns}%`;
    card.dataset.picture = i;
    const image = card.querySelector("img");
    const said = notes(i);
    card.querySelector(".picture").setAttribute("aria-label", `Compare ${isolated(nameShown(i))} with the first picture`);
    const absent = (text) => {
      card.classList.add("no-picture");
      card.querySelector(".absent").textContent = text;
      card.querySelector(".picture").disabled = true;
    };
    if (data.thumbnail[i] < 0) absent(said.shift() ?? "no picture");
    else {
      image.addEventListener("error", () => absent(`The thumbnail is not in ${decodeURI(data.thumbnails) || "the page"}: move the folder together with the page, or write the page again.`));
      image.src = thumbnail(i);
    }
    const path = isolated(folderOf(i)[1] + nameShown(i));
    const name = card.querySelector(".name bdi");
    name.textContent = nameShown(i);
    card.querySelector(".name").title = path;
    const folder = card.querySelector(".folder");
    folder.firstElementChild.textContent = folderOf(i)[1] || "\u00a0";
    folder.title = path;
    const about = card.querySelector(".facts");
    about.append(facts(i)[0], document.createElement("br"), facts(i)[1]);
    const chips = card.querySelector(".notes");
    const chip = (text, kind) => {
      const element = document.createElement("span");
      element.textContent = element.title = text;
      if (kind) element.className = kind;
      chips.append(element);
    };
    chip(isFirst(i) ? (isMatch ? "looked for" : "no. 1") : `no. ${number + (isMatch ? 0 : 1)}`);
    if (data.distance[i] !== null) chip(`distance ${distanceText(data.distance[i])}`, "strong");
    for (const text of said) chip(text, text.startsWith("changed") ? "warning" : /^(identical|same)/.test(text) ? "strong" : "");
    about.id = `facts-${i}`;
    chips.id = `notes-${i}`;
    const box = card.querySelector("input");
    box.setAttribute("aria-describedby", `${about.id} ${chips.id}`);
    if (canTick(i)) box.checked = ticked[i];
    else {
      box.setAttribute("aria-disabled", "true");
      box.addEventListener("click", (event) => event.preventDefault());
    }
    card.classList.toggle("ticked", Boolean(ticked[i]));
    return card;
  }
  function showState(group, element = elements.get(group)) {
    const all = !isMatch && ticksOf[group] === sizeOf(group);
    const warnings = [];
    if (all) warnings.push("every picture is ticked");
    if (data.widest[group]) warnings.push(`two are ${data.widest[group].toFixed(1)} apart, beyond the limit`);
    element.article.querySelector(".warning").textContent = element.article.querySelector(".warning").title = warnings.join("; ");
    element.article.querySelector(".head input").checked = done[group];
    element.article.classList.toggle("done", Boolean(done[group]));
    element.article.classList.toggle("all-ticked", all);
    for (const [i, card] of element.cards) {
      card.querySelector("input").checked = ticked[i];
      card.classList.toggle("ticked", Boolean(ticked[i]));
    }
  }
  function showStatus() {
    const size = tickedBytes ? ` (${bytesText(tickedBytes)})` : "";
    let text = `${integer(shown.length)} of ${count(nGroups, isMatch ? "picture" : "group")} shown · ${integer(nTicked)} ticked${size}`;
    if (nMatching > shown.length) text += ` · the first ${integer(shown.length)} of ${integer(nMatching)}; use the filters for the others`;
    const every = isMatch ? 0 : ticksOf.reduce((sum, ticks, group) => sum + (ticks === sizeOf(group)), 0);
    if (every) text += ` · every picture ticked in ${count(every, "group")}`;
    byId("status").textContent = text;
    byId("undo").disabled = !undoable.length;
    byId("save").disabled = !nTicked;
  }

  // Moving.

  function showTabStop(from) {
    const stop = active >= 0 || !shown.length ? active : start[shown[lines[Math.min(lineAt(scrollY - from), lines.length - 1)].from]];
    for (const { cards } of elements.values()) for (const [i, card] of cards) card.querySelector("input").tabIndex = i === stop ? 0 : -1;
  }
  function placeOf(i) {
    const place = places.get(groupOf[i]);
    const number = i - start[groupOf[i]];
    return { ...place, row: Math.floor(number / place.columns), column: number % place.columns };
  }
  function rangeOf(i) {
    const place = placeOf(i);
    const line = lines[place.line];
    const from = listTop() + line.top + (place.row ? line.head + place.row * cardHeight : 0);
    return [from, listTop() + line.top + line.head + (place.row + 1) * cardHeight];
  }
  function isVisible(i) {
    const [from, to] = rangeOf(i);
    return to > scrollY && from < scrollY + innerHeight;
  }
  function focusPicture(i) {
    active = i;
    const [from, to] = rangeOf(i);
    const top = byId("bar").offsetHeight + 6;
    if (from - top < scrollY) scrollTo(0, from - top);
    else if (to + 10 > scrollY + innerHeight) scrollTo(0, Math.min(from - top, to + 10 - innerHeight));
    render();
    elements.get(groupOf[i]).cards.get(i).querySelector("input").focus({ preventScroll: true });
  }
  function firstVisible() {
    const line = lines[Math.min(lineAt(scrollY + byId("bar").offsetHeight - listTop()), lines.length - 1)];
    return line ? start[shown[line.from]] : -1;
  }
  function groupAfter(group, by) {
    if (byId("hide").checked) {
      // What has been dealt with by now is hidden, and the next one that is left comes.
      const order = shown.slice();
      let position = order.indexOf(group);
      select();
      do position += by;
      while (position >= 0 && position < order.length && !places.has(order[position]));
      return order[position];
    }
    return shown[places.get(group).position + by];
  }
  function below(i, by) {
    const { line, left, columns: width, rows, row, column } = placeOf(i);
    const group = groupOf[i];
    if (row + by >= 0 && row + by < rows) return Math.min(i + by * width, start[group + 1] - 1);
    const other = lines[line + by];
    if (!other) return undefined;
    const across = left + column;
    let target = shown[other.from];
    for (let position = other.from; position < other.to; position++) if (places.get(shown[position]).left <= across) target = shown[position];
    const place = places.get(target);
    const inRow = Math.min(across - place.left, place.columns - 1);
    return Math.min(start[target] + (by > 0 ? 0 : (place.rows - 1) * place.columns) + inRow, start[target + 1] - 1);
  }
  function beside(i, by) {
    const other = i + by;
    if (groupOf[other] === groupOf[i]) return other;
    const group = shown[places.get(groupOf[i]).position + by];
    return group === undefined ? undefined : by > 0 ? start[group] : start[group + 1] - 1;
  }
  const moves = {
    ArrowRight: (i) => beside(i, 1),
    j: (i) => beside(i, 1),
    ArrowLeft: (i) => beside(i, -1),
    k: (i) => beside(i, -1),
    ArrowDown: (i) => below(i, 1),
    ArrowUp: (i) => below(i, -1),
    n: (i) => start[groupAfter(groupOf[i], 1)],
    p: (i) => start[groupAfter(groupOf[i], -1)],
    d: (i) => {
      if (!done[groupOf[i]]) change([], [groupOf[i]]);
      return start[groupAfter(groupOf[i], 1)];
    },
  };
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const inList = byId("groups").contains(event.target);
    const isTyping = event.target.closest("select, input:not([type=checkbox])");
    if (byId("compare").open) return onKeyOfCompare(event);
    if (byId("help").open || isTyping) return;
    const act = {
      "?": () => byId("help").showModal(),
      "/": () => {
        byId("filters").open = true;
        byId("search").focus();
      },
      u: undo,
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (moves[event.key] && shown.length && (inList || !event.key.startsWith("Arrow"))) {
      event.preventDefault();
      const target = active < 0 || !isVisible(active) ? firstVisible() : moves[event.key](active);
      if (target !== undefined && target >= 0) focusPicture(target);
      else if (active < 0 || !places.has(groupOf[active])) byId("status").scrollIntoView();
    } else if (inList && active >= 0 && event.target.closest(".card")) {
      if (event.key === "Enter") {
        event.preventDefault();
        compare(active);
      } else if (event.key === " " && !event.target.closest("label")) {
        event.preventDefault();
        if (canTick(active)) change([active]);
      }
    }
  }

  // Two pictures side by side.

  let compared = -1;
  function compare(i) {
    compared = i;
    const first = start[groupOf[i]];
    const pair = isFirst(i) ? [i, i + 1] : [first, i];
    const dialog = byId("compare");
    dialog.querySelector(".title").textContent = titleOf(groupOf[i]);
    dialog.querySelectorAll("figure").forEach((figure, place) => {
      const picture = pair[place];
      const image = figure.querySelector("img");
      const lines = [];
      const line = (tag, text) => {
        const element = document.createElement("p");
        const inner = document.createElement(tag);
        inner.textContent = text;
        element.append(inner);
        lines.push(element);
      };
      figure.hidden = picture >= start[groupOf[i] + 1];
      if (figure.hidden) return;
      const whole = address(picture);
      image.onerror = () => {
        image.onerror = null;
        if (data.thumbnail[picture] >= 0) image.src = thumbnail(picture);
      };
      image.alt = nameShown(picture);
      if (data.thumbnail[picture] < 0) image.removeAttribute("src");
      else image.src = whole || thumbnail(picture);
      line("bdi", nameShown(picture));
      line("bdi", folderOf(picture)[1]);
      line("span", facts(picture).filter(Boolean).join(" · "));
      const said = notes(picture);
      if (data.distance[picture] !== null) said.unshift(`distance ${data.distance[picture]}`);
      line("span", said.join("; "));
      if (whole) {
        line("a", "open the file");
        Object.assign(lines.at(-1).firstChild, { href: whole, target: "_blank", rel: "noopener noreferrer" });
      }
      figure.querySelector("figcaption").replaceChildren(...lines);
    });
    const box = dialog.querySelector("input");
    box.checked = ticked[i];
    box.disabled = !canTick(i);
    box.parentNode.title = `tick ${isolated(nameShown(i))}`;
    dialog.querySelector(".next").disabled = beside(i, 1) === undefined;
    dialog.querySelector(".previous").disabled = beside(i, -1) === undefined;
    if (!dialog.open) dialog.showModal();
  }
  function compareBeside(by) {
    const other = beside(compared, by);
    if (other !== undefined && other >= 0) compare(other);
  }
  function tickCompared() {
    if (canTick(compared)) change([compared]);
    byId("compare").querySelector("input").checked = ticked[compared];
  }
  function onKeyOfCompare(event) {
    const act = {
      ArrowRight: () => compareBeside(1),
      j: () => compareBeside(1),
      ArrowLeft: () => compareBeside(-1),
      k: () => compareBeside(-1),
      " ": tickCompared,
      u: () => {
        undo();
        compare(compared);
      },
    }[event.key];
    if (act && !(event.key === " " && event.target.closest("button, a"))) {
      event.preventDefault();
      act();
    }
  }

  // The list.

  function cell(text) {
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  function csvLines(pictures, isForSpreadsheet) {
    const safe = (text) => cell(isForSpreadsheet && FORMULA.test(text) ? `'${text}` : text);
    const orientation = (i) => (isFirst(i) ? "" : ORIENTATIONS[data.orientation[i]]);
    if (isMatch) {
      const rows = [["path", "match", "distance", "orientation"]];
      for (const i of pictures) {
        for (let match = i + 1; match < start[groupOf[i] + 1]; match++) rows.push([safe(pathOf(i)), safe(pathOf(match)), data.distance[match], orientation(match)]);
      }
      return rows;
    }
    const rows = [["group", "path", "distance", "orientation", "width", "height", "bytes"]];
    for (const i of pictures) {
      const size = [data.width[i] || "", data.height[i] || "", data.bytes[i] < 0 ? "" : data.bytes[i]];
      rows.push([data.number[groupOf[i]], safe(pathOf(i)), data.distance[i] ?? "", orientation(i), ...size]);
    }
    return rows;
  }
  function save() {
    const format = byId("format").value;
    const pictures = numbersIn(ticked);
    let texts;
    if (format === "lines" || format === "nul") {
      texts = pictures.map(pathOf);
      const broken = texts.filter((path) => /[\n\r\ufeff]/.test(path)).length;
      if (format === "lines" && broken) return say(`Not saved: ${count(broken, "path")} with a line end in it cannot stand on one line; choose NUL or CSV.`);
      texts = texts.map((path) => path + (format === "nul" ? "\0" : "\n"));
    } else texts = csvLines(pictures, format === "spreadsheet").map((row) => row.join(",") + "\r\n");
    say("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(texts.map(bytes), { type: "application/octet-stream" }));
    link.download = format === "lines" ? "ticked.txt" : format === "nul" ? "ticked.nul" : "ticked.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  async function load() {
    const file = byId("load").files[0];
    if (!file) return;
    const text = characters(new Uint8Array(await file.arrayBuffer()));
    const paths = text.includes("\0") ? text.split("\0") : text.split("\n").map((line) => line.replace(/\r$/, ""));
    const wanted = new Set(paths.filter(Boolean));
    const found = new Set();
    const pictures = [];
    for (let i = 0; i < nPictures; i++) {
      const path = characters(bytes(pathOf(i)));
      if (!wanted.has(path) || !canTick(i)) continue;
      found.add(path);
      if (!ticked[i]) pictures.push(i);
    }
    change(pictures);
    say(`${count(pictures.length, "picture")} ticked; ${count(wanted.size - found.size, "path")} of the list not on this page.`);
    byId("load").value = "";
  }
  function tickMany() {
    const which = byId("which").value;
    const folder = byId("folder").value;
    if (which === "folder" && !folder) return say("Choose a folder first.");
    const identical = data.notes_texts.findIndex((text) => text === "identical file");
    const tests = {
      others: (i) => !isFirst(i),
      identical: (i) => data.notes[i].includes(identical),
      folder: (i) => folderOf(i)[0].startsWith(folder),
      first: isFirst,
    };
    const pictures = [];
    for (const group of shown) {
      for (let i = start[group]; i < start[group + 1]; i++) {
        if (which === "none" ? ticked[i] : !ticked[i] && tests[which](i)) pictures.push(i);
      }
    }
    say(`${which === "none" ? "Ticks removed" : "Ticked"}: ${count(pictures.length, "picture")} in the ${count(shown.length, "group")} shown. “Undo” takes it back.`);
    change(pictures);
  }

  // Folders of the filter: each with pictures, and those that lead to several.

  function addFolders() {
    const counts = new Map(); // path: [text, pictures, folders below it, has pictures of its own]
    const numbers = new Map();
    for (const number of data.folder) numbers.set(number, (numbers.get(number) ?? 0) + 1);
    for (const [number, pictures] of numbers) {
      const parts = data.folders[number][0].split("/").slice(0, -1);
      const texts = data.folders[number][1].split("/");
      for (let depth = 1; depth <= parts.length; depth++) {
        const path = parts.slice(0, depth).join("/") + "/";
        const entry = counts.get(path) ?? [texts.slice(0, depth).join("/") + "/", 0, new Set(), false];
        entry[1] += pictures;
        if (depth < parts.length) entry[2].add(parts[depth]);
        else entry[3] = true;
        counts.set(path, entry);
      }
    }
    const options = [...counts].filter(([, [, , below, own]]) => own || below.size > 1).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [path, [text, pictures]] of options.slice(0, 5000)) byId("folder").append(new Option(`${isolated(end(text, 60))} (${integer(pictures)})`, path));
  }

  // Events.

  let frame = 0;
  function soon() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      render();
    });
  }
  let selecting = 0;
  const selectSoon = () => {
    clearTimeout(selecting);
    selecting = setTimeout(selectAnew, 150);
  };
  function selectAnew() {
    select();
    const top = listTop() - byId("bar").offsetHeight;
    if (scrollY > top) scrollTo(0, top);
  }
  addEventListener("scroll", soon, { passive: true });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return soon();
    width = innerWidth;
    const focused = byId("groups").contains(document.activeElement);
    const at = active >= 0 ? active : firstVisible();
    layOut();
    if (at >= 0 && scrollY > listTop()) scrollTo(0, listTop() + lines[places.get(groupOf[at]).line].top - byId("bar").offsetHeight);
    if (focused && active >= 0) focusPicture(active);
  });
  document.addEventListener("keydown", onKey);
  byId("groups").addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (card) active = Number(card.dataset.picture);
    showTabStop(listTop());
  });
  byId("groups").addEventListener("change", (event) => {
    const card = event.target.closest(".card");
    if (card) change([Number(card.dataset.picture)]);
  });
  byId("groups").addEventListener("click", (event) => {
    const card = event.target.closest(".picture") && event.target.closest(".card");
    if (card) compare(Number(card.dataset.picture));
  });
  for (const id of ["search", "from", "to"]) byId(id).addEventListener("input", selectSoon);
  for (const id of ["folder", "order", "hide"]) byId(id).addEventListener("change", selectAnew);
  byId("blur").addEventListener("change", () => {
    document.body.classList.toggle("blur", byId("blur").checked);
    keep();
  });
  byId("undo").addEventListener("click", undo);
  byId("save").addEventListener("click", save);
  byId("load").addEventListener("change", load);
  byId("tick").addEventListener("click", tickMany);
  byId("ask").addEventListener("click", () => byId("help").showModal());
  byId("help").querySelector(".close").addEventListener("click", () => byId("help").close());
  const dialog = byId("compare");
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.querySelector(".previous").addEventListener("click", () => compareBeside(-1));
  dialog.querySelector(".next").addEventListener("click", () => compareBeside(1));
  dialog.querySelector("input").addEventListener("change", tickCompared);
  dialog.addEventListener("close", () => places.has(groupOf[compared]) && focusPicture(compared));
  addEventListener("storage", (event) => {
    if (event.key !== key) return;
    restore();
    for (const group of elements.keys()) showState(group);
    showStatus();
  });
  addEventListener("pagehide", () => keeping && keep());
  addEventListener("beforeunload", (event) => {
    if (nTicked && !isKept) event.preventDefault();
  });
  for (const [name, value] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(name, () => {
      printing = value;
      render();
      for (const image of document.images) image.loading = value ? "eager" : "lazy";
    });
  }

  // Each in a task of its own, so that the page answers meanwhile.
  setTimeout(() => {
    restore();
    setTimeout(() => {
      select();
      setTimeout(() => {
        addFolders();
        byId("groups").setAttribute("aria-busy", "false");
      });
    });
  });
})();

"use strict";
// A box by its name, by what it is, or by its size.

const MOST_FOUND = 40;

/** The boxes that hold all words of a text, those first whose name begins with it. */
function find(level, text) {
  const words = text.toLowerCase().replaceAll("\u00d7", " ").split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = [];
  for (const box of level.boxes) {
    box.words ??= `${box.id} ${box.label} ${box.what || ""} ${sizes(box)} ${box.about || ""} ${
      box.weights.map((n) => level.weights[n].name).join(" ")}`.toLowerCase();
    if (!words.every((word) => box.words.includes(word))) continue;
    const label = box.label.toLowerCase();
    const rank = label === words[0] ? 0 : label.startsWith(words[0]) ? 1 : box.id.toLowerCase().includes(words[0]) ? 2 : 3;
    found.push([rank, trail(box).length, box]);
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2].number - b[2].number);
  return found.map(([, , box]) => box);
}

/** Wires the field: arrows choose, Enter opens, Escape closes. */
function searchField(current, act) {
  const field = document.getElementById("search"), list = document.getElementById("results");
  let found = [], chosen = -1;
  const close = () => {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
    chosen = -1;
  };
  const choose = (place) => {
    chosen = place;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
    const item = list.children[chosen];
    if (!item) return;
    field.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  };
  const take = (box) => {
    close();
    field.blur();
    act(box);
  };
  const update = () => {
    const all = find(current(), field.value);
    found = all.slice(0, MOST_FOUND);
    const items = found.map((box, place) => make("li", {
      id: `found-${place}`, role: "option", "aria-selected": "false",
      mousedown: (event) => { event.preventDefault(); take(box); },
    }, make("b", {}, box.path), make("span", {}, [box.what, sizes(box)].filter(Boolean).join(", "))));
    if (all.length > MOST_FOUND) items.push(make("li", { class: "more" }, `and ${all.length - MOST_FOUND} more`));
    if (!all.length) items.push(make("li", { class: "more" }, "nothing is called so"));
    list.replaceChildren(...items);
    list.hidden = !field.value.trim();
    field.setAttribute("aria-expanded", String(!list.hidden));
    choose(found.length ? 0 : -1);
  };
  field.addEventListener("input", update);
  field.addEventListener("focus", () => field.value && update());
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      if (list.hidden) field.blur();
      field.value = "";
      close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (found[chosen]) take(found[chosen]);
    } else if (found.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      choose((chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    }
  });
  field.form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input[type=search], textarea");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}

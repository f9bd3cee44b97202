export default function ({ data, parentElement }) {
  const raw = parentElement.querySelector(".raw");
  const fields = parentElement.querySelector(".fields");
  raw.replaceChildren();
  fields.replaceChildren();
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  let fixed = null;
  const light = (n, on) =>
    parentElement.querySelectorAll(`[data-mark="${n}"]`).forEach((e) => e.classList.toggle("on", on));
  const bring = (box, e) => {
    if (!e) return;
    const top = e.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 40) box.scrollTop = top - 60;
  };
  const choose = (n, from) => {
    if (fixed !== null) light(fixed, false);
    fixed = fixed === n ? null : n;
    if (fixed !== null) {
      light(n, true);
      bring(raw, raw.querySelector(`[data-mark="${n}"]`));
      bring(fields, fields.querySelector(`[data-mark="${n}"]`));
    }
  };
  const hook = (e, n) => {
    e.dataset.mark = n;
    e.onmouseenter = () => light(n, true);
    e.onmouseleave = () => { if (fixed !== n) light(n, false); };
    e.onclick = () => choose(n);
  };
  const named = {};
  for (const f of data.fields) if (f.mark !== null) named[f.mark] = f.field;
  for (const [text, mark] of data.pieces) {
    if (mark === null) {
      raw.append(document.createTextNode(text));
    } else {
      const m = make("mark", "", text);
      m.title = named[mark] ?? "";
      hook(m, mark);
      raw.append(m);
    }
  }
  if (data.text !== null && data.text !== undefined) {
    fields.append(make("pre", "canon", data.text || "Choose an event to see what it says."));
    if (data.lit !== null) choose(data.lit);
    return;
  }
  if (!data.fields.length) fields.append(make("div", "none", "No value of this message was kept with its bytes."));
  for (const f of data.fields) {
    if (f.head) fields.append(make("div", "seg", f.head));
    const row = make("button", f.mark === null ? "f ruled" : "f");
    row.type = "button";
    row.append(make("span", "name", f.field), make("span", "val", f.value),
      make("span", "el", [f.element, f.how === "copied" ? "" : f.how].filter(Boolean).join(" · ")));
    if (f.mark !== null) hook(row, f.mark);
    fields.append(row);
  }
  if (data.lit !== null && data.lit !== undefined) choose(data.lit);
}
